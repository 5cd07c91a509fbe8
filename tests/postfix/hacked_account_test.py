#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""A night with a hacked account: somebody has carl's password and sends, logged in by SASL, with twenty
sender names from five networks. `signal networks` notices, the account is stopped, its mail held, the
admin is told with the command that undoes it; nobody else is harmed."""

import json
import os
import re
import shlex
import shutil
import subprocess

from notices_case import HERE, NoticesTest, eventually, run_tests

PASSWORDS = {"carl@example.org": "Sommer2024", "bob@example.org": "not stolen"}
SASL_CF = """\
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = cyrus
smtpd_sasl_local_domain = example.org
cyrus_sasl_config_path = {folder}/conf/sasl
"""
SASL = """\
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {folder}/conf/sasl/db
mech_list: PLAIN LOGIN
"""
LOCAL_CONFIG = """\
<localconfig>
<key name="zimbra_server_hostname"><value>mail.example.test</value></key>
<key name="zimbra_user"><value>root</value></key>
</localconfig>
"""
NAMES = [f"name{number}@news.example" for number in range(20)]
NETWORKS = [f"198.51.{number}.7" for number in range(5)]


class HackedAccount(NoticesTest):
    @classmethod
    def main_cf(cls, text):
        folder = cls.postfix.folder
        (folder / "conf/sasl").mkdir(exist_ok=True)
        (folder / "conf/sasl/smtpd.conf").write_text(SASL.format(folder=folder))
        for login, password in PASSWORDS.items():
            user, _, realm = login.partition("@")
            subprocess.run(["saslpasswd2", "-p", "-c", "-f", folder / "conf/sasl/db", "-u", realm, user],
                           input=password, text=True, check=True)
        shutil.chown(folder / "conf/sasl/db", "postfix")
        return super().main_cf(text) + SASL_CF.format(folder=folder)

    def setUp(self):
        super().setUp()
        self.carbonio = self.daemon.folder / "carbonio"
        (self.carbonio / "accounts").mkdir(parents=True)
        (self.carbonio / "global").write_text("zimbraDefaultDomainName: example.org\n")
        for login in PASSWORDS:
            (self.carbonio / "accounts" / login).write_text("zimbraAccountStatus: active\n")
        program = self.daemon.folder / "bin/carbonio"
        program.parent.mkdir()
        (self.daemon.folder / "conf/localconfig.xml").write_text(LOCAL_CONFIG)
        shutil.copy(HERE.parent / "carbonio/carbonio", program)
        (self.daemon.folder / "data/cbpolicyd/enabled").touch()
        self.deliver(False)
        self.addCleanup(self.deliver, True)
        self.addCleanup(self.postfix_program, "postsuper", "-d", "ALL")

    def say(self, *words):
        done = subprocess.run([self.daemon.programs / "carbonio-limits", *words], text=True, timeout=120,
                              stdin=subprocess.DEVNULL, capture_output=True,
                              env={**os.environ, "ZEXTRAS_HOME": str(self.daemon.folder),
                                   "CARBONIO_STATE": str(self.carbonio)})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def type(self, line):
        program, *words = shlex.split(line)
        self.assertEqual(program, "carbonio-limits")
        return self.say(*words)

    def queue(self):
        """Sender -> name of the queue that its only message is in."""
        mails = [json.loads(line) for line in self.postfix_program("postqueue", "-j").splitlines()]
        return {mail["sender"]: mail["queue_name"] for mail in mails}

    def wait_for_queue(self, wanted):
        eventually(lambda: self.queue() == wanted)
        self.assertEqual(self.queue(), wanted)

    def send_as(self, login, sender, address):
        """The replies to the recipient and to the message."""
        session = self.postfix.connect("submission", f"ADDR={address}")
        session.login(login, PASSWORDS[login])
        session.mail(sender)
        code, text = session.rcpt("someone@example.com")
        if code == 250:
            code, text = session.data(f"From: <{sender}>\r\nSubject: news\r\n\r\nbuy\r\n")
        session.quit()
        return f"{code} {text.decode()}"

    def spam(self):
        for number, name in enumerate(NAMES):
            self.assertRegex(self.send_as("carl@example.org", name, NETWORKS[number % 5]), "^250 ")
        self.assertRegex(self.send_as("bob@example.org", "bob@example.org", "203.0.113.9"), "^250 ")
        self.wait_for_queue(dict.fromkeys([*NAMES, "bob@example.org"], "deferred"))

    def status(self, login="carl@example.org"):
        return (self.carbonio / "accounts" / login).read_text()

    def told(self):
        """The text of the notice of the step."""
        self.pass_time(11 * 60)  # urgent notices are sent at most every ten minutes
        self.say("notify", "--due")
        mail = self.arrived()
        self.assertIn("carl@example.org", mail["Subject"])
        return mail.get_body(("plain",)).get_content()

    def test_it_is_blocked_for_an_hour_its_mail_held_and_released_by_the_command_of_the_notice(self):
        self.say("signal", "networks", "5", "--then", "notify,block:1h")
        self.spam()
        self.say("answer", "--due")  # notify
        self.assertIn("5 client networks in a day", self.told())
        self.say("answer", "--due")
        self.wait_for_queue({**dict.fromkeys(NAMES, "hold"), "bob@example.org": "deferred"})
        [block] = json.loads(self.say("blocked", "--json"))["blocked"]
        self.assertEqual((block["who"], block["until"] - block["since"]), ("carl@example.org", 3600))
        self.assertRegex(self.send_as("carl@example.org", "more@news.example", NETWORKS[0]),
                         r"^554 5\.7\.1 .*Sending is blocked for this account")
        self.assertRegex(self.send_as("bob@example.org", "bob@example.org", "203.0.113.9"), "^250 ")
        [undo] = re.findall(r"^ *(carbonio-limits unblock \S+ --release)$", self.told(), re.MULTILINE)
        self.deliver(True)
        self.type(undo)
        self.wait_for_queue({})
        self.assertEqual(len(self.postfix.wait_for_log("status=sent", "discard", count=22)), 22)
        self.assertRegex(self.send_as("carl@example.org", "carl@example.org", NETWORKS[0]), "^250 ")
        self.assertIn("active", self.status())

    def test_the_account_is_locked_and_gets_its_status_back(self):
        self.say("signal", "networks", "5", "--then", "lock")
        self.spam()
        self.say("answer", "--due")
        self.assertIn("zimbraAccountStatus: locked", self.status())
        self.assertIn("zimbraAccountStatus: active", self.status("bob@example.org"))
        self.assertRegex(self.send_as("carl@example.org", "more@news.example", NETWORKS[0]), "^554 ")
        [undo] = re.findall(r"^ *(carbonio-limits unblock \S+ --release)$", self.told(), re.MULTILINE)
        self.type(undo)
        self.assertIn("zimbraAccountStatus: active", self.status())
        self.assertRegex(self.send_as("carl@example.org", "carl@example.org", NETWORKS[0]), "^250 ")


if __name__ == "__main__":
    run_tests()
