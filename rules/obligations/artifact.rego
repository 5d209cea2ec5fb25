# METADATA
# title: Digest of what may run
# description: The image's digest for a class that starts from an image, the module's checksum for one that starts from a module.
# custom:
#   type: artifact
#   applies_to: [deploy]
package platform.obligations.artifact

import data.platform.lib.artifact

oblige contains sprintf("sha256:%s", [artifact.image_digest]) if input.app.runtime.class in data.platform.runtime.from_image

oblige contains sprintf("sha256:%s", [checksum]) if {
	input.app.runtime.class in data.platform.runtime.from_module
	checksum := input.app.runtime.module.sha256
	artifact.is_checksum(checksum)
}
