# METADATA
# title: Caps for one instance
# description: Cores, MiB, milliseconds of one call and MiB of storage, all four or none.
# custom:
#   type: caps
#   applies_to: [deploy]
package platform.obligations.caps

oblige contains caps if {
	asked := input.app.runtime.caps
	caps := {"cpu": asked.cpu, "memoryMiB": asked.memoryMiB, "storageMiB": asked.storageMiB, "timeoutMs": asked.timeoutMs}
}
