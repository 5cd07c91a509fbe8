// SPDX-License-Identifier: AGPL-3.0-only
// SQLite's own page cache, but for one number. Where SQLite splits a page of a b-tree it puts the
// parts into order, and lends one of them for a moment the number of the page at 1 GiB, which it
// never stores. Its cache takes that for its highest number, and at the commit looks at every page
// it has for those behind the end of the database: with a cache of 8 MB that was a twelfth of what
// a new sender's request cost, with more of it more. For the cache that number is 0 here, which no
// page has (https://sqlite.org/c3ref/pcache_methods2.html).
#pragma once

namespace policyd {

// Before anything else of SQLite, by the first thread. Where SQLite does not take it, all is as
// ever.
void use_page_cache();

}  // namespace policyd
