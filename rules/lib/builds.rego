# An image build: the images that come from outside, each with where it is named.
package platform.lib.builds

import data.platform.lib.lists

outside contains found if {
	some i, stage in lists.at(["resource", "stages"])
	not _is_earlier_stage(stage)
	found := {"image": lists.text_of(stage, "image"), "path": ["resource", "stages", i, "image"]}
}

outside contains found if {
	some i, other in lists.at(["resource", "images"])
	found := {"image": lists.text_of(other, "image"), "path": ["resource", "images", i, "image"]}
}

_is_earlier_stage(stage) if {
	is_object(stage)
	is_number(object.get(stage, "from_stage", null))
}
