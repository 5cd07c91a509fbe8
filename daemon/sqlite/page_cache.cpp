// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/sqlite/page_cache.hpp"

#include <sqlite3.h>

#include <new>

namespace policyd {
namespace {

// The byte at which SQLite locks a file; the page that holds it is never stored.
constexpr int kPendingByte = 0x40000000;

sqlite3_pcache_methods2 sqlites{};

// What SQLite has as a cache of ours.
struct Cache {
  sqlite3_pcache* real;
  unsigned lent;  // the number that a page has for a moment
};

Cache& ours(sqlite3_pcache* cache) { return *reinterpret_cast<Cache*>(cache); }
sqlite3_pcache* real(sqlite3_pcache* cache) { return ours(cache).real; }

sqlite3_pcache* create(int page_bytes, int extra_bytes, int purgeable) {
  sqlite3_pcache* made = sqlites.xCreate(page_bytes, extra_bytes, purgeable);
  if (made == nullptr) return nullptr;
  auto* cache =
      new (std::nothrow) Cache{made, static_cast<unsigned>(kPendingByte / page_bytes + 1)};
  if (cache == nullptr) sqlites.xDestroy(made);
  return reinterpret_cast<sqlite3_pcache*>(cache);
}

void destroy(sqlite3_pcache* cache) {
  sqlites.xDestroy(real(cache));
  delete &ours(cache);
}

void rekey(sqlite3_pcache* cache, sqlite3_pcache_page* page, unsigned old_number,
           unsigned new_number) {
  const auto number = [lent = ours(cache).lent](unsigned each) { return each == lent ? 0 : each; };
  sqlites.xRekey(real(cache), page, number(old_number), number(new_number));
}

void set_size(sqlite3_pcache* cache, int pages) { sqlites.xCachesize(real(cache), pages); }
int page_count(sqlite3_pcache* cache) { return sqlites.xPagecount(real(cache)); }
sqlite3_pcache_page* fetch(sqlite3_pcache* cache, unsigned number, int create) {
  return sqlites.xFetch(real(cache), number, create);
}
void unpin(sqlite3_pcache* cache, sqlite3_pcache_page* page, int discard) {
  sqlites.xUnpin(real(cache), page, discard);
}
void truncate(sqlite3_pcache* cache, unsigned from) { sqlites.xTruncate(real(cache), from); }
void shrink(sqlite3_pcache* cache) { sqlites.xShrink(real(cache)); }

}  // namespace

void use_page_cache() {
  sqlite3_pcache_methods2 methods{};
  if (sqlite3_config(SQLITE_CONFIG_GETPCACHE2, &methods) != SQLITE_OK) return;
  if (methods.xCreate == create) return;
  sqlites = methods;
  methods.xCreate = create;
  methods.xDestroy = destroy;
  methods.xRekey = rekey;
  methods.xCachesize = set_size;
  methods.xPagecount = page_count;
  methods.xFetch = fetch;
  methods.xUnpin = unpin;
  methods.xTruncate = truncate;
  methods.xShrink = shrink;
  sqlite3_config(SQLITE_CONFIG_PCACHE2, &methods);
}

}  // namespace policyd
