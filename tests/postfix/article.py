# SPDX-License-Identifier: AGPL-3.0-only
"""What the vendor's article has the admin type into `sqlite3` (the name of its policy begins with a
Cyrillic С). The numbers 6, 3 and 4 are those a fresh database gives next."""

POLICY = """\
INSERT INTO policies (Name,Priority,Description) VALUES('Сarbonio CBPolicyD', 0, 'Carbonio CBPolicyD');
INSERT INTO policy_members (PolicyID,Source,Destination) VALUES(6,'any','any');
"""

SEND_TEXT = "Deferring: Too many messages sent in last 60 seconds"
SEND_LIMIT = 10
SEND = f"""\
INSERT INTO quotas (PolicyID,Name,Track,Period,Verdict,Data) VALUES (6,'Sender:user@domain',\
'Sender:user@domain',60,'DEFER','{SEND_TEXT}');
INSERT INTO quotas_limits (QuotasID,Type,CounterLimit) VALUES (3,'MessageCount',{SEND_LIMIT});
"""

RECEIVE_TEXT = "Rejecting: Too many messages received in last 60 seconds"
RECEIVE_LIMIT = 125
RECEIVE = f"""\
INSERT INTO quotas (PolicyID,Name,Track,Period,Verdict,Data) VALUES (6,'Recipient:@domain',\
'Recipient:@domain',60,'REJECT','{RECEIVE_TEXT}');
INSERT INTO quotas_limits (QuotasID,Type,CounterLimit) VALUES (4,'MessageCount',{RECEIVE_LIMIT});
"""
