# Whether calls are counted where this one goes out. A broker counts always, whatever the platform's data say.
package platform.lib.metering

is_on if data.platform.usage.metered

is_on if input.context.enforcement_point == "broker"
