// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/database/config_section.hpp"

#include <gtest/gtest.h>

namespace limits {
namespace {

TEST(ClusterSection, IsAddedAndRemovedWithoutATrace) {
  for (const std::string before : {"", "# ours\n", "[Quotas]\nalgorithm=window\n"}) {
    const std::string with =
        with_section_keys(before, "cluster", {{"url", "redis://a"}, {"node", "b"}});
    EXPECT_TRUE(with.ends_with("[cluster]\nnode=b\nurl=redis://a\n")) << with;
    EXPECT_EQ(without_section_keys(with, "cluster"), before);
  }
}

TEST(ClusterSection, KeysOfItAreReplacedHoweverTheyAreWritten) {
  const std::string before =
      "[Cluster]\n URL = redis://old\n# url=x\nwithout=local\n[server]\nurl=stays\n";
  EXPECT_EQ(with_section_keys(before, "cluster", {{"url", "redis://new"}}),
            "[Cluster]\nurl=redis://new\n# url=x\nwithout=local\n[server]\nurl=stays\n");
  EXPECT_EQ(without_section_keys(before, "cluster"), "[Cluster]\n# url=x\n[server]\nurl=stays\n");
}

TEST(ClusterSection, EachOfTwoSectionsLosesItsKeys) {
  EXPECT_EQ(
      with_section_keys("[cluster]\nurl=a\n[server]\n[cluster]\nurl=b", "cluster", {{"url", "c"}}),
      "[cluster]\nurl=c\n[server]\n[cluster]\n");
}

}  // namespace
}  // namespace limits
