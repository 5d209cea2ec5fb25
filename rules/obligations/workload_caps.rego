# METADATA
# title: Limits for containers that name none
# description: Cores and MiB, for each limit that a container of a workload lacks.
# custom:
#   type: caps
#   applies_to: [workload]
package platform.obligations.workload_caps

oblige contains data.platform.workloads.default_limits
