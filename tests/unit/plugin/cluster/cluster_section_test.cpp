// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/cluster/cluster_section.hpp"

#include <gtest/gtest.h>

namespace limits {
namespace {

TEST(ClusterSection, IsAddedAndRemovedWithoutATrace) {
  for (const std::string before : {"", "# ours\n", "[Quotas]\nalgorithm=window\n"}) {
    const std::string with = with_cluster_keys(before, {{"url", "redis://a"}, {"node", "b"}});
    EXPECT_TRUE(with.ends_with("[cluster]\nnode=b\nurl=redis://a\n")) << with;
    EXPECT_EQ(without_cluster_keys(with), before);
  }
}

TEST(ClusterSection, KeysOfItAreReplacedHoweverTheyAreWritten) {
  const std::string before =
      "[Cluster]\n URL = redis://old\n# url=x\nwithout=local\n[server]\nurl=stays\n";
  EXPECT_EQ(with_cluster_keys(before, {{"url", "redis://new"}}),
            "[Cluster]\nurl=redis://new\n# url=x\nwithout=local\n[server]\nurl=stays\n");
  EXPECT_EQ(without_cluster_keys(before), "[Cluster]\n# url=x\n[server]\nurl=stays\n");
}

TEST(ClusterSection, EachOfTwoSectionsLosesItsKeys) {
  EXPECT_EQ(with_cluster_keys("[cluster]\nurl=a\n[server]\n[cluster]\nurl=b", {{"url", "c"}}),
            "[cluster]\nurl=c\n[server]\n[cluster]\n");
}

}  // namespace
}  // namespace limits
