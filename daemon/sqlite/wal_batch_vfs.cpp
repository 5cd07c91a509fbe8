// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/sqlite/wal_batch_vfs.hpp"

#include <sqlite3.h>

#include <cstddef>
#include <new>
#include <vector>

namespace policyd {
namespace {

constexpr int kLogHeader = 32;    // at the start of the log
constexpr int kFrameHeader = 24;  // before each page
constexpr int kMinPage = 512;
constexpr int kMaxPage = 65536;
constexpr int kMaxBuffered = 48 * 1024;
// SQLite's unix VFS uses only 17 bits of a size.
static_assert(kMaxBuffered + kFrameHeader + kMaxPage <= 0x1FFFF);

// The open log as SQLite sees it; the file of the default VFS follows it in the same allocation.
struct LogFile : sqlite3_file {
  sqlite3_file* real;
  std::vector<char>* buffered;  // frames of one transaction
  sqlite3_int64 begin;          // their offset in the log
  bool header_last;             // the last write was a frame's header
  bool commits;                 // of a frame that ends a transaction

  [[nodiscard]] sqlite3_int64 end() const {
    return begin + static_cast<sqlite3_int64>(buffered->size());
  }
  void clear() {
    buffered->clear();
    header_last = false;
  }
};

LogFile& log_of(sqlite3_file* file) { return *static_cast<LogFile*>(file); }

int flush(LogFile& log) {
  if (log.buffered->empty()) return SQLITE_OK;
  const int code = log.real->pMethods->xWrite(log.real, log.buffered->data(),
                                              static_cast<int>(log.buffered->size()), log.begin);
  log.begin = log.end();
  log.clear();
  return code;
}

// The header's second field: the size of the database in pages in the last frame of a transaction,
// 0 in the others.
bool is_commit(const void* frame_header) {
  constexpr std::size_t kDatabaseSize = 4;  // its offset; four bytes long
  const auto* bytes = static_cast<const unsigned char*>(frame_header) + kDatabaseSize;
  return (bytes[0] | bytes[1] | bytes[2] | bytes[3]) != 0;
}

int append(LogFile& log, const void* data, int size) {
  const auto* bytes = static_cast<const char*>(data);
  try {
    log.buffered->insert(log.buffered->end(), bytes, bytes + size);
    return SQLITE_OK;
  } catch (const std::bad_alloc&) {
    log.clear();
    return SQLITE_IOERR_NOMEM;
  }
}

int write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
  LogFile& log = log_of(file);
  if (!log.header_last && size == kFrameHeader && offset >= kLogHeader) {
    // Frames that this one does not continue belong to a transaction that failed.
    if (offset != log.end()) log.clear();
    if (log.buffered->empty()) log.begin = offset;
    log.header_last = true;
    log.commits = is_commit(data);
    return append(log, data, size);
  }
  if (log.header_last && size >= kMinPage && offset == log.end()) {
    log.header_last = false;
    const int code = append(log, data, size);
    const bool due = log.commits || log.buffered->size() >= std::size_t{kMaxBuffered};
    return code == SQLITE_OK && due ? flush(log) : code;
  }
  const int code = flush(log);
  return code == SQLITE_OK ? log.real->pMethods->xWrite(log.real, data, size, offset) : code;
}

int close(sqlite3_file* file) {
  LogFile& log = log_of(file);
  delete log.buffered;
  return log.real->pMethods->xClose(log.real);
}

// Passes a call on to the file of the default VFS.
template <auto method, typename... Arguments>
int pass_on(sqlite3_file* file, Arguments... arguments) {
  sqlite3_file* real = log_of(file).real;
  return (real->pMethods->*method)(real, arguments...);
}

// The same once the frames are written.
template <auto method, typename... Arguments>
int flush_first(sqlite3_file* file, Arguments... arguments) {
  const int code = flush(log_of(file));
  return code == SQLITE_OK ? pass_on<method>(file, arguments...) : code;
}

// Version 1: SQLite neither maps the log nor asks it for shared memory.
using Methods = sqlite3_io_methods;
constexpr Methods kLogMethods = {1,
                                 close,
                                 flush_first<&Methods::xRead>,
                                 write,
                                 flush_first<&Methods::xTruncate>,
                                 flush_first<&Methods::xSync>,
                                 flush_first<&Methods::xFileSize>,
                                 pass_on<&Methods::xLock>,
                                 pass_on<&Methods::xUnlock>,
                                 pass_on<&Methods::xCheckReservedLock>,
                                 pass_on<&Methods::xFileControl>,
                                 pass_on<&Methods::xSectorSize>,
                                 pass_on<&Methods::xDeviceCharacteristics>,
                                 nullptr,
                                 nullptr,
                                 nullptr,
                                 nullptr,
                                 nullptr,
                                 nullptr};

struct Vfs : sqlite3_vfs {
  sqlite3_vfs* real;
};

int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  sqlite3_vfs* real = static_cast<Vfs*>(vfs)->real;
  if ((flags & SQLITE_OPEN_WAL) == 0) return real->xOpen(real, name, file, flags, out_flags);
  auto* log = new (file) LogFile{};
  log->real = reinterpret_cast<sqlite3_file*>(log + 1);
  const int code = real->xOpen(real, name, log->real, flags, out_flags);
  if (code != SQLITE_OK) {  // without methods SQLite does not close it
    if (log->real->pMethods != nullptr) log->real->pMethods->xClose(log->real);
    return code;
  }
  log->buffered = new (std::nothrow) std::vector<char>;
  if (log->buffered == nullptr) {
    log->real->pMethods->xClose(log->real);
    return SQLITE_NOMEM;
  }
  log->pMethods = &kLogMethods;
  return SQLITE_OK;
}

}  // namespace

const char* wal_batch_vfs() {
  // Static, because SQLite keeps a list of all VFSs for the life of the process, with pointers to
  // the objects that are registered, and has no other way to select one than by its name.
  static Vfs vfs = [] {
    sqlite3_vfs* real = sqlite3_vfs_find(nullptr);
    Vfs made{*real, real};
    made.zName = "wal_batch";
    made.pNext = nullptr;
    made.szOsFile = static_cast<int>(sizeof(LogFile)) + real->szOsFile;
    made.xOpen = open;
    return made;
  }();
  // Registering it again is harmless.
  return sqlite3_vfs_register(&vfs, 0) == SQLITE_OK ? vfs.zName : nullptr;
}

}  // namespace policyd
