-- SPDX-License-Identifier: AGPL-3.0-only
-- A fresh database: CBPolicyD's tables, names and column types, its default rows in the order that
-- gives them its IDs, and our additions ({p} stands for table_prefix). The triggers on the rule
-- tables are created by database.cpp, in databases of the Perl daemon too.

CREATE TABLE {p}policies (
  ID INTEGER PRIMARY KEY AUTOINCREMENT,
  Name VARCHAR(255) NOT NULL,
  Priority SMALLINT NOT NULL,
  Description TEXT,
  Disabled SMALLINT NOT NULL DEFAULT 0
);
CREATE TABLE {p}policy_members (
  ID INTEGER PRIMARY KEY AUTOINCREMENT,
  PolicyID INT8,
  Source TEXT,
  Destination TEXT,
  Comment VARCHAR(1024),
  Disabled SMALLINT NOT NULL DEFAULT 0,
  FOREIGN KEY (PolicyID) REFERENCES {p}policies(ID)
);
CREATE TABLE {p}policy_groups (
  ID INTEGER PRIMARY KEY AUTOINCREMENT,
  Name VARCHAR(255) NOT NULL,
  Disabled SMALLINT NOT NULL DEFAULT 0,
  Comment VARCHAR(1024),
  UNIQUE (Name)
);
CREATE TABLE {p}policy_group_members (
  ID INTEGER PRIMARY KEY AUTOINCREMENT,
  PolicyGroupID INT8,
  Member VARCHAR(255) NOT NULL,
  Disabled SMALLINT NOT NULL DEFAULT 0,
  Comment VARCHAR(1024),
  FOREIGN KEY (PolicyGroupID) REFERENCES {p}policy_groups(ID)
);
CREATE TABLE {p}session_tracking (
  Instance VARCHAR(255),
  QueueID VARCHAR(255),
  UnixTimestamp UNSIGNED BIG INT NOT NULL,
  ClientAddress VARCHAR(64),
  ClientName VARCHAR(255),
  ClientReverseName VARCHAR(255),
  Protocol VARCHAR(255),
  EncryptionProtocol VARCHAR(255),
  EncryptionCipher VARCHAR(255),
  EncryptionKeySize VARCHAR(255),
  SASLMethod VARCHAR(255),
  SASLSender VARCHAR(255),
  SASLUsername VARCHAR(255),
  Helo VARCHAR(255),
  Sender VARCHAR(255),
  Size UNSIGNED BIG INT,
  RecipientData TEXT,
  UNIQUE (Instance)
);
CREATE INDEX {p}session_tracking_idx1 ON {p}session_tracking (QueueID, ClientAddress, Sender);
CREATE INDEX {p}session_tracking_idx2 ON {p}session_tracking (UnixTimestamp);
CREATE TABLE {p}access_control (
  ID INTEGER PRIMARY KEY AUTOINCREMENT,
  PolicyID INT8,
  Name VARCHAR(255) NOT NULL,
  Verdict VARCHAR(255),
  Data TEXT,
  Comment VARCHAR(1024),
  Disabled SMALLINT NOT NULL DEFAULT 0,
  FOREIGN KEY (PolicyID) REFERENCES {p}policies(ID)
);
CREATE TABLE {p}accounting (
  ID INTEGER PRIMARY KEY AUTOINCREMENT,
  PolicyID INT8,
  Name VARCHAR(255) NOT NULL,
  Track VARCHAR(255) NOT NULL,
  AccountingPeriod SMALLINT NOT NULL,
  MessageCountLimit UNSIGNED BIG INT,
  MessageCumulativeSizeLimit UNSIGNED BIG INT,
  Verdict VARCHAR(255),
  Data TEXT,
  LastAccounting SMALLINT NOT NULL DEFAULT 0,
  Comment VARCHAR(1024),
  Disabled SMALLINT NOT NULL DEFAULT 0,
  FOREIGN KEY (PolicyID) REFERENCES {p}policies(ID)
);
CREATE TABLE {p}accounting_tracking (
  AccountingID INT8,
  TrackKey VARCHAR(512),
  PeriodKey VARCHAR(512),
  LastUpdate UNSIGNED BIG INT,
  MessageCount UNSIGNED BIG INT,
  MessageCumulativeSize UNSIGNED BIG INT,
  UNIQUE (AccountingID, TrackKey, PeriodKey),
  FOREIGN KEY (AccountingID) REFERENCES {p}accounting(ID)
);
CREATE INDEX {p}accounting_tracking_idx1 ON {p}accounting_tracking (LastUpdate);
CREATE TABLE {p}amavis_rules (
  ID INTEGER PRIMARY KEY AUTOINCREMENT,
  PolicyID INT8,
  Name VARCHAR(255) NOT NULL,
  bypass_virus_checks SMALLINT,
  bypass_virus_checks_m SMALLINT NOT NULL DEFAULT 0,
  bypass_banned_checks SMALLINT,
  bypass_banned_checks_m SMALLINT NOT NULL DEFAULT 0,
  bypass_spam_checks SMALLINT,
  bypass_spam_checks_m SMALLINT NOT NULL DEFAULT 0,
  bypass_header_checks SMALLINT,
  bypass_header_checks_m SMALLINT NOT NULL DEFAULT 0,
  spam_tag_level FLOAT,
  spam_tag_level_m SMALLINT NOT NULL DEFAULT 0,
  spam_tag2_level FLOAT,
  spam_tag2_level_m SMALLINT NOT NULL DEFAULT 0,
  spam_tag3_level FLOAT,
  spam_tag3_level_m SMALLINT NOT NULL DEFAULT 0,
  spam_kill_level FLOAT,
  spam_kill_level_m SMALLINT NOT NULL DEFAULT 0,
  spam_dsn_cutoff_level FLOAT,
  spam_dsn_cutoff_level_m SMALLINT NOT NULL DEFAULT 0,
  spam_quarantine_cutoff_level FLOAT,
  spam_quarantine_cutoff_level_m SMALLINT NOT NULL DEFAULT 0,
  spam_modifies_subject SMALLINT,
  spam_modifies_subject_m SMALLINT NOT NULL DEFAULT 0,
  spam_tag_subject VARCHAR(255),
  spam_tag_subject_m SMALLINT NOT NULL DEFAULT 0,
  spam_tag2_subject VARCHAR(255),
  spam_tag2_subject_m SMALLINT NOT NULL DEFAULT 0,
  spam_tag3_subject VARCHAR(255),
  spam_tag3_subject_m SMALLINT NOT NULL DEFAULT 0,
  max_message_size UNSIGNED BIG INT,
  max_message_size_m SMALLINT NOT NULL DEFAULT 0,
  banned_files TEXT,
  banned_files_m SMALLINT NOT NULL DEFAULT 0,
  sender_whitelist TEXT,
  sender_whitelist_m SMALLINT NOT NULL DEFAULT 0,
  sender_blacklist TEXT,
  sender_blacklist_m SMALLINT NOT NULL DEFAULT 0,
  notify_admin_newvirus VARCHAR(255),
  notify_admin_newvirus_m SMALLINT NOT NULL DEFAULT 0,
  notify_admin_virus VARCHAR(255),
  notify_admin_virus_m SMALLINT NOT NULL DEFAULT 0,
  notify_admin_spam VARCHAR(255),
  notify_admin_spam_m SMALLINT NOT NULL DEFAULT 0,
  notify_admin_banned_file VARCHAR(255),
  notify_admin_banned_file_m SMALLINT NOT NULL DEFAULT 0,
  notify_admin_bad_header VARCHAR(255),
  notify_admin_bad_header_m SMALLINT NOT NULL DEFAULT 0,
  quarantine_virus VARCHAR(255),
  quarantine_virus_m SMALLINT NOT NULL DEFAULT 0,
  quarantine_banned_file VARCHAR(255),
  quarantine_banned_file_m SMALLINT NOT NULL DEFAULT 0,
  quarantine_bad_header VARCHAR(255),
  quarantine_bad_header_m SMALLINT NOT NULL DEFAULT 0,
  quarantine_spam VARCHAR(255),
  quarantine_spam_m SMALLINT NOT NULL DEFAULT 0,
  bcc_to VARCHAR(255),
  bcc_to_m SMALLINT NOT NULL DEFAULT 0,
  Comment VARCHAR(1024),
  Disabled SMALLINT NOT NULL DEFAULT 0,
  FOREIGN KEY (PolicyID) REFERENCES {p}policies(ID)
);
CREATE TABLE {p}checkhelo (
  ID INTEGER PRIMARY KEY AUTOINCREMENT,
  PolicyID INT8,
  Name VARCHAR(255) NOT NULL,
  UseBlacklist SMALLINT,
  BlacklistPeriod UNSIGNED BIG INT,
  UseHRP SMALLINT,
  HRPPeriod UNSIGNED BIG INT,
  HRPLimit UNSIGNED BIG INT,
  RejectInvalid SMALLINT,
  RejectIP SMALLINT,
  RejectUnresolvable SMALLINT,
  Comment VARCHAR(1024),
  Disabled SMALLINT NOT NULL DEFAULT 0,
  FOREIGN KEY (PolicyID) REFERENCES {p}policies(ID)
);
CREATE TABLE {p}checkhelo_blacklist (
  ID INTEGER PRIMARY KEY AUTOINCREMENT,
  Helo VARCHAR(255) NOT NULL,
  Comment VARCHAR(1024),
  Disabled SMALLINT NOT NULL DEFAULT 0,
  UNIQUE (Helo)
);
CREATE TABLE {p}checkhelo_whitelist (
  ID INTEGER PRIMARY KEY AUTOINCREMENT,
  Source VARCHAR(512) NOT NULL,
  Comment VARCHAR(1024),
  Disabled SMALLINT NOT NULL DEFAULT 0,
  UNIQUE (Source)
);
CREATE TABLE {p}checkhelo_tracking (
  Address VARCHAR(64) NOT NULL,
  Helo VARCHAR(255) NOT NULL,
  LastUpdate UNSIGNED BIG INT NOT NULL,
  UNIQUE (Address, Helo)
);
CREATE INDEX {p}checkhelo_tracking_idx1 ON {p}checkhelo_tracking (LastUpdate);
CREATE TABLE {p}checkspf (
  ID INTEGER PRIMARY KEY AUTOINCREMENT,
  PolicyID INT8,
  Name VARCHAR(255) NOT NULL,
  UseSPF SMALLINT,
  RejectFailedSPF SMALLINT,
  AddSPFHeader SMALLINT,
  Comment VARCHAR(1024),
  Disabled SMALLINT NOT NULL DEFAULT 0,
  FOREIGN KEY (PolicyID) REFERENCES {p}policies(ID)
);
CREATE TABLE {p}greylisting (
  ID INTEGER PRIMARY KEY AUTOINCREMENT,
  PolicyID INT8,
  Name VARCHAR(255) NOT NULL,
  UseGreylisting SMALLINT,
  GreylistPeriod UNSIGNED BIG INT,
  Track VARCHAR(255) NOT NULL,
  GreylistAuthValidity UNSIGNED BIG INT,
  GreylistUnAuthValidity UNSIGNED BIG INT,
  UseAutoWhitelist SMALLINT,
  AutoWhitelistPeriod UNSIGNED BIG INT,
  AutoWhitelistCount UNSIGNED BIG INT,
  AutoWhitelistPercentage UNSIGNED BIG INT,
  UseAutoBlacklist SMALLINT,
  AutoBlacklistPeriod UNSIGNED BIG INT,
  AutoBlacklistCount UNSIGNED BIG INT,
  AutoBlacklistPercentage UNSIGNED BIG INT,
  Comment VARCHAR(1024),
  Disabled SMALLINT NOT NULL DEFAULT 0,
  FOREIGN KEY (PolicyID) REFERENCES {p}policies(ID)
);
CREATE TABLE {p}greylisting_whitelist (
  ID INTEGER PRIMARY KEY AUTOINCREMENT,
  Source VARCHAR(255) NOT NULL,
  Comment VARCHAR(1024),
  Disabled SMALLINT NOT NULL DEFAULT 0,
  UNIQUE (Source)
);
CREATE TABLE {p}greylisting_autowhitelist (
  ID INTEGER PRIMARY KEY AUTOINCREMENT,
  TrackKey VARCHAR(512) NOT NULL,
  Added UNSIGNED BIG INT NOT NULL,
  LastSeen UNSIGNED BIG INT NOT NULL,
  Comment VARCHAR(1024),
  UNIQUE (TrackKey)
);
CREATE TABLE {p}greylisting_autoblacklist (
  ID INTEGER PRIMARY KEY AUTOINCREMENT,
  TrackKey VARCHAR(512) NOT NULL,
  Added UNSIGNED BIG INT NOT NULL,
  Comment VARCHAR(1024),
  UNIQUE (TrackKey)
);
CREATE TABLE {p}greylisting_tracking (
  TrackKey VARCHAR(512) NOT NULL,
  Sender VARCHAR(255) NOT NULL,
  Recipient VARCHAR(255) NOT NULL,
  FirstSeen UNSIGNED BIG INT NOT NULL,
  LastUpdate UNSIGNED BIG INT NOT NULL,
  Tries UNSIGNED BIG INT NOT NULL,
  Count UNSIGNED BIG INT NOT NULL,
  UNIQUE (TrackKey, Sender, Recipient)
);
CREATE INDEX {p}greylisting_tracking_idx1 ON {p}greylisting_tracking (LastUpdate);
CREATE TABLE {p}quotas (
  ID INTEGER PRIMARY KEY AUTOINCREMENT,
  PolicyID INT8,
  Name VARCHAR(255) NOT NULL,
  Track VARCHAR(255) NOT NULL,
  Period UNSIGNED BIG INT,
  Verdict VARCHAR(255),
  Data TEXT,
  LastQuota SMALLINT NOT NULL DEFAULT 0,
  Comment VARCHAR(1024),
  Disabled SMALLINT NOT NULL DEFAULT 0,
  FOREIGN KEY (PolicyID) REFERENCES {p}policies(ID)
);
CREATE TABLE {p}quotas_limits (
  ID INTEGER PRIMARY KEY AUTOINCREMENT,
  QuotasID INT8,
  Type VARCHAR(255),
  CounterLimit UNSIGNED BIG INT,
  Comment VARCHAR(1024),
  Disabled SMALLINT NOT NULL DEFAULT 0,
  FOREIGN KEY (QuotasID) REFERENCES {p}quotas(ID)
);
CREATE TABLE {p}quotas_tracking (
  QuotasLimitsID INT8,
  TrackKey VARCHAR(512),
  LastUpdate UNSIGNED BIG INT,
  Counter NUMERIC(10,4),
  UNIQUE (QuotasLimitsID, TrackKey),
  FOREIGN KEY (QuotasLimitsID) REFERENCES {p}quotas_limits(ID)
);

INSERT INTO {p}policies (Name, Priority, Description) VALUES
  ('Default', 0, 'Every mail'),
  ('Default Outbound', 10, 'From this server''s networks and domains to the world'),
  ('Default Inbound', 10, 'From the world to this server''s domains'),
  ('Default Internal', 20, 'From this server''s networks and domains to its domains'),
  ('Test', 50, 'An example');
INSERT INTO {p}policy_members (PolicyID, Source, Destination) VALUES
  (1, NULL, NULL),
  (2, '%internal_ips,%internal_domains', '!%internal_domains'),
  (3, '!%internal_ips,!%internal_domains', '%internal_domains'),
  (4, '%internal_ips,%internal_domains', '%internal_domains'),
  (5, '@example.net', NULL);
INSERT INTO {p}policy_groups (Name) VALUES ('internal_ips'), ('internal_domains');
INSERT INTO {p}policy_group_members (PolicyGroupID, Member) VALUES
  (1, '10.0.0.0/8'), (2, '@example.org'), (2, '@example.com');
INSERT INTO {p}quotas (PolicyID, Name, Track, Period, Verdict) VALUES
  (5, 'Recipient quotas', 'Recipient:user@domain', 3600, 'REJECT'),
  (5, 'Quota on all /24s', 'SenderIP:/24', 3600, 'REJECT');
INSERT INTO {p}quotas_limits (QuotasID, Type, CounterLimit) VALUES
  (1, 'MessageCount', 10), (1, 'MessageCumulativeSize', 8000), (2, 'MessageCount', 12);
INSERT INTO {p}checkhelo_blacklist (Helo, Comment) VALUES
  ('127.0.0.1', 'Says it is this host'), ('[127.0.0.1]', 'Says it is this host'),
  ('localhost', 'Says it is this host'), ('localhost.localdomain', 'Says it is this host');
INSERT INTO {p}amavis_rules
  (PolicyID, Name, max_message_size, max_message_size_m, bypass_banned_checks, bypass_banned_checks_m)
  VALUES (1, 'Default system amavis policy', 100000, 2, 1, 2);
