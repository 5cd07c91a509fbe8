# SPDX-License-Identifier: AGPL-3.0-only
"""The rows of a large server for the first page: limits, counters and refusals of this minute."""

LIMITS = 10_000
COUNTERS = 100_000
REFUSALS = 5_000

MANY = f"""
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {LIMITS})
  INSERT INTO policies (ID, Name, Priority, Description)
  SELECT 1000 + i, 'limit of u' || i || '@example.org', 50, '' FROM n;
INSERT INTO policy_members (PolicyID, Source, Destination)
  SELECT ID, 'u' || (ID - 1000) || '@example.org', 'any' FROM policies WHERE ID > 1000;
INSERT INTO quotas (ID, PolicyID, Name, Track, Period, Verdict, Data)
  SELECT ID, ID, 'a quota', 'Sender:user@domain', 3600, 'DEFER', 'later' FROM policies WHERE ID > 1000;
INSERT INTO quotas_limits (ID, QuotasID, Type, CounterLimit)
  SELECT ID, ID, 'MessageCount', 100 FROM policies WHERE ID > 1000;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {COUNTERS} - 1)
  INSERT INTO quotas_tracking (QuotasLimitsID, TrackKey, LastUpdate, Counter)
  SELECT 1001 + i % {LIMITS}, 'Sender:u' || i || '@example.org', unixepoch(), i % 100 FROM n;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {REFUSALS})
  INSERT INTO limits_events (Minute, Kind, Module, RowID, TrackKey, Verdict, FirstSeen, LastSeen, Times,
    CounterLimit, FreeAt)
  SELECT unixepoch() / 60, 'refused', 'Quotas', 1001 + i, 'Sender:u' || i || '@example.org', 'defer',
    unixepoch() * 1000, unixepoch() * 1000, 3, 100, unixepoch() * 1000 + 3600000 FROM n;
"""
