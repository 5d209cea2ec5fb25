# METADATA
# title: Regions in which the data may be kept
# description: The app's own regions, for whatever stores its data or routes its requests.
# custom:
#   type: residency
#   applies_to: [deploy, connector_call, data_flow]
package platform.obligations.residency

import data.platform.lib.lists

oblige contains region if some region in lists.at(["app", "data", "residency"])
