// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/sqlite/wal_batch_vfs.hpp"

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

namespace policyd {
namespace {

constexpr int kLogHeader = 32;    // at the beginning of the log
constexpr int kFrameHeader = 24;  // before each page
constexpr int kSmallestPage = 512;
constexpr int kLargestPage = 65536;
constexpr int kMostGathered = 48 * 1024;
// SQLite's own unix VFS takes no more than 17 bits of a size.
static_assert(kMostGathered + kFrameHeader + kLargestPage <= 0x1FFFF);

// What SQLite has as the open log; the system's own stands behind it in the same memory.
struct LogFile : sqlite3_file {
  sqlite3_file* real;
  std::vector<char>* gathered;  // of one transaction
  sqlite3_int64 begin;          // where that belongs
  bool header_last;             // the last thing gathered is a frame's header
  bool commits;                 // and of a frame that ends a transaction

  [[nodiscard]] sqlite3_int64 end() const {
    return begin + static_cast<sqlite3_int64>(gathered->size());
  }
  void forget() {
    gathered->clear();
    header_last = false;
  }
};

LogFile& log_of(sqlite3_file* file) { return *static_cast<LogFile*>(file); }

int flush(LogFile& log) {
  if (log.gathered->empty()) return SQLITE_OK;
  const int code = log.real->pMethods->xWrite(log.real, log.gathered->data(),
                                              static_cast<int>(log.gathered->size()), log.begin);
  log.begin = log.end();
  log.forget();
  return code;
}

// The size of the database after this transaction, in pages; 0 in the frames before its last one.
bool is_commit(const void* frame_header) {
  constexpr std::size_t kDatabaseSize = 4;  // its place, four bytes long
  const auto* bytes = static_cast<const unsigned char*>(frame_header) + kDatabaseSize;
  return (bytes[0] | bytes[1] | bytes[2] | bytes[3]) != 0;
}

int gather(LogFile& log, const void* data, int size) {
  const auto* bytes = static_cast<const char*>(data);
  try {
    log.gathered->insert(log.gathered->end(), bytes, bytes + size);
    return SQLITE_OK;
  } catch (const std::bad_alloc&) {
    log.forget();
    return SQLITE_IOERR_NOMEM;
  }
}

int write(sqlite3_file* file, const void* data, int size, sqlite3_int64 place) {
  LogFile& log = log_of(file);
  if (!log.header_last && size == kFrameHeader && place >= kLogHeader) {
    // What is not followed is of a transaction that failed.
    if (place != log.end()) log.forget();
    if (log.gathered->empty()) log.begin = place;
    log.header_last = true;
    log.commits = is_commit(data);
    return gather(log, data, size);
  }
  if (log.header_last && size >= kSmallestPage && place == log.end()) {
    log.header_last = false;
    const int code = gather(log, data, size);
    const bool enough = log.commits || log.gathered->size() >= std::size_t{kMostGathered};
    return code == SQLITE_OK && enough ? flush(log) : code;
  }
  const int code = flush(log);
  return code == SQLITE_OK ? log.real->pMethods->xWrite(log.real, data, size, place) : code;
}

int close(sqlite3_file* file) {
  LogFile& log = log_of(file);
  delete log.gathered;
  return log.real->pMethods->xClose(log.real);
}

int read(sqlite3_file* file, void* data, int size, sqlite3_int64 place) {
  LogFile& log = log_of(file);
  if (const int code = flush(log); code != SQLITE_OK) return code;
  return log.real->pMethods->xRead(log.real, data, size, place);
}

int truncate(sqlite3_file* file, sqlite3_int64 size) {
  LogFile& log = log_of(file);
  if (const int code = flush(log); code != SQLITE_OK) return code;
  return log.real->pMethods->xTruncate(log.real, size);
}

int sync(sqlite3_file* file, int flags) {
  LogFile& log = log_of(file);
  if (const int code = flush(log); code != SQLITE_OK) return code;
  return log.real->pMethods->xSync(log.real, flags);
}

int file_size(sqlite3_file* file, sqlite3_int64* size) {
  LogFile& log = log_of(file);
  if (const int code = flush(log); code != SQLITE_OK) return code;
  return log.real->pMethods->xFileSize(log.real, size);
}

int lock(sqlite3_file* file, int level) {
  return log_of(file).real->pMethods->xLock(log_of(file).real, level);
}
int unlock(sqlite3_file* file, int level) {
  return log_of(file).real->pMethods->xUnlock(log_of(file).real, level);
}
int check_reserved_lock(sqlite3_file* file, int* held) {
  return log_of(file).real->pMethods->xCheckReservedLock(log_of(file).real, held);
}
int file_control(sqlite3_file* file, int operation, void* argument) {
  return log_of(file).real->pMethods->xFileControl(log_of(file).real, operation, argument);
}
int sector_size(sqlite3_file* file) {
  return log_of(file).real->pMethods->xSectorSize(log_of(file).real);
}
int device_characteristics(sqlite3_file* file) {
  return log_of(file).real->pMethods->xDeviceCharacteristics(log_of(file).real);
}

// Version 1: a log is neither mapped nor has it shared memory of its own.
constexpr sqlite3_io_methods kLogMethods = {1,
                                            close,
                                            read,
                                            write,
                                            truncate,
                                            sync,
                                            file_size,
                                            lock,
                                            unlock,
                                            check_reserved_lock,
                                            file_control,
                                            sector_size,
                                            device_characteristics,
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
  if (code != SQLITE_OK) {  // no methods: it will not be closed
    if (log->real->pMethods != nullptr) log->real->pMethods->xClose(log->real);
    return code;
  }
  log->gathered = new (std::nothrow) std::vector<char>;
  if (log->gathered == nullptr) {
    log->real->pMethods->xClose(log->real);
    return SQLITE_NOMEM;
  }
  log->pMethods = &kLogMethods;
  return SQLITE_OK;
}

}  // namespace

// SQLite's list of VFSs is global and holds on to what is registered, so this is, too.
const char* wal_frames_vfs() {
  static Vfs vfs = [] {
    sqlite3_vfs* real = sqlite3_vfs_find(nullptr);
    Vfs made{*real, real};
    made.zName = "wal_frames";
    made.pNext = nullptr;
    made.szOsFile = static_cast<int>(sizeof(LogFile)) + real->szOsFile;
    made.xOpen = open;
    return made;
  }();
  static const int registered = sqlite3_vfs_register(&vfs, 0);
  return registered == SQLITE_OK ? vfs.zName : nullptr;
}

}  // namespace policyd
