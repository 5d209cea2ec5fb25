# What an app is started from, by digest: a deploy decides on a digest, and a host starts nothing else.
package platform.lib.artifact

image := object.get(input, ["app", "runtime", "image"], "")

# The digest that the image is pinned by; undefined for an image that is not.
image_digest := split(image, "@sha256:")[1] if is_pinned(image)

is_pinned(name) if {
	is_string(name)
	regex.match(`^[a-z0-9._/:-]+@sha256:[0-9a-f]{64}$`, name)
}

is_checksum(text) if {
	is_string(text)
	regex.match(`^[0-9a-f]{64}$`, text)
}
