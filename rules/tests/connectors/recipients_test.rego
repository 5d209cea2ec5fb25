package tests.connectors.recipients_test

import data.platform.rules.connectors.recipients
import data.tests.lib.requests

_found(request) := found if {
	found := {[v.path, v.message] | some v in recipients.deny} with input as request
}

_mail(to) := requests.extended(
	requests.extended(requests.connector_call, "/resource/body", {"to": to}),
	"/facts/connectors/0/recipients", ["example.com", "example.org"],
)

_elsewhere(i) := [["resource", "body", "to", i], "The connector does not send mail to this recipient's domain."]

_nobody := [["resource", "body", "to"], "The message names no recipient in the list `to`."]

test_mail_to_listed_domains_passes_in_any_case if {
	_found(_mail(["ada@example.com", "ben@EXAMPLE.org"])) == set()
}

test_a_recipient_elsewhere_is_named_with_its_place if {
	_found(_mail(["ada@example.com", "eve@evil.example"])) == {_elsewhere(1)}
	_found(_mail(["eve@sub.example.com"])) == {_elsewhere(0)}
	_found(_mail(["eve@example.com.evil.example"])) == {_elsewhere(0)}
}

test_what_is_not_one_address_is_refused if {
	every to in ["ada", "", "@", "a@evil.example@example.com", "example.com", null, 7, {}, ["ada@example.com"]] {
		_found(_mail([to])) == {_elsewhere(0)}
	}
}

test_a_message_to_nobody_that_can_be_read_is_refused if {
	_found(_mail([])) == {_nobody}
	_found(_mail("ada@example.com")) == {_nobody}
	_found(requests.without(_mail([]), "/resource/body")) == {_nobody}
}

test_no_listed_domain_means_nobody if {
	_found(requests.changed(_mail(["ada@example.com"]), "/facts/connectors/0/recipients", [])) == {_elsewhere(0)}
	_found(requests.changed(_mail(["ada@example.com"]), "/facts/connectors/0/recipients", "example.com")) == {_elsewhere(0)}
	_found(requests.changed(_mail(["ada@example.com"]), "/facts/connectors/0/recipients", [7, ""])) == {_elsewhere(0)}
}

test_a_connector_that_sends_no_mail_is_not_looked_at if {
	_found(requests.connector_call) == set()
	_found(requests.data_flow) == set()
	_found(requests.without(_mail(["eve@evil.example"]), "/facts")) == set()
}
