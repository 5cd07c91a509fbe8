# SPDX-License-Identifier: AGPL-3.0-only
"""Base of the tests of the hooks: a folder that looks like /opt/zextras, with the stand-in for
`carbonio` and its state."""

import os
import pathlib
import pwd
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "plugin"))

from plugin_case import PROGRAM, Plugin  # noqa: E402

SERVER = "mail.example.com"


class Carbonio(Plugin):
    def setUp(self):
        super().setUp()
        self.state = self.home / "state"
        (self.state / "servers").mkdir(parents=True)
        for folder in ("bin", "conf"):
            (self.home / folder).mkdir()
        shutil.copy(HERE / "carbonio", self.home / "bin/carbonio")
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        self.local_config(zimbra_user=self.user)
        self.put("user", self.user)
        self.put("domains", "example.net", "Alias.example.net")
        self.put("global", "zimbraMtaMyNetworks: 127.0.0.0/8 [::1]/128")
        self.put(f"servers/{SERVER}", "zimbraServiceEnabled: mta")

    def local_config(self, **more):
        keys = {"zimbra_server_hostname": SERVER, "ldap_password": "S3cret", **more}
        (self.home / "conf/localconfig.xml").write_text(
            "<localconfig>" + "".join(f'<key name="{name}"><value>{value}</value></key>'
                                      for name, value in keys.items()) + "</localconfig>")

    def put(self, name, *lines):
        (self.state / name).write_text("".join(line + "\n" for line in lines))

    def run_it(self, *arguments, **more):
        # Plugin.run_it clears the environment, so env sets the stand-in's variable.
        return super().run_it(f"CARBONIO_STATE={self.state}", PROGRAM, *arguments,
                              program="/usr/bin/env", **more)

    def calls(self):
        path = self.state / "calls"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def members(self, group):
        return self.sql("SELECT Member FROM policy_group_members WHERE PolicyGroupID = "
                        f"(SELECT ID FROM policy_groups WHERE Name = '{group}') ORDER BY 1")
