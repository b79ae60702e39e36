package tools

import (
	"net/http"
	"slices"
)

// meaning is what a vendor's code says, in our words, and whether trying later helps.
type meaning struct {
	text      string
	temporary bool
}

// refusal is the error for an answer with this status and these codes. A code
// that is not in our table is not named: it could be anything.
func refusal(vendor string, status int, h http.Header, codes []string) *APIError {
	e := &APIError{Provider: vendor, Status: status, RetryAfter: retryAfter(h)}
	table := meanings(vendor)
	i := slices.IndexFunc(codes, func(c string) bool { _, ok := table[c]; return ok })
	if i >= 0 {
		e.Code = codes[i]
	}
	m, ok := table[e.Code]
	if !ok {
		m = byStatus(status)
	}
	e.Reason, e.Temporary = m.text, m.temporary
	e.Unsure = status >= 500 || m.text == broken
	return e
}

func byStatus(status int) meaning {
	switch {
	case status == http.StatusTooManyRequests:
		return meaning{throttled, true}
	case status == http.StatusUnauthorized:
		return meaning{deadToken, false}
	case status == http.StatusForbidden:
		return meaning{forbidden, false}
	case status == http.StatusNotFound:
		return meaning{notFound, false}
	case status == http.StatusGone:
		return meaning{"has this no longer", false}
	case status >= 500:
		return meaning{broken, true}
	case status == http.StatusRequestURITooLong, status == http.StatusRequestHeaderFieldsTooLarge, status == http.StatusRequestEntityTooLarge:
		return meaning{"says that the request is too long", false}
	}
	return meaning{badRequest, false}
}

// The sentences that several vendors share. They go on from the vendor's name.
const (
	throttled  = "is throttling this account"
	quota      = "says that the quota for today is used up"
	deadToken  = "does not accept the account's token"
	forbidden  = "says that this account may not do that"
	notFound   = "has nothing of that name, or this account may not see it"
	policy     = "says that an administrator's policy forbids it"
	broken     = "has trouble of its own"
	badRequest = "did not accept the request"
	noDownload = "does not let this file be downloaded"
	apiOff     = "says that this API is not switched on in the operator's project"
)

// meanings are the codes of a vendor that we know (Google: API error reasons;
// Slack: docs.slack.dev per method; Salesforce: SOAP and REST status codes).
func meanings(vendor string) map[string]meaning {
	switch vendor {
	case "google":
		return map[string]meaning{
			"notFound": {notFound, false}, "forbidden": {forbidden, false}, "insufficientFilePermissions": {forbidden, false},
			"rateLimitExceeded": {throttled, true}, "userRateLimitExceeded": {throttled, true}, "RATE_LIMIT_EXCEEDED": {throttled, true},
			"dailyLimitExceeded": {quota, false}, "quotaExceeded": {quota, false}, "downloadQuotaExceeded": {quota, false},
			"domainPolicy": {policy, false}, "authError": {deadToken, false},
			"accessNotConfigured": {apiOff, false}, "SERVICE_DISABLED": {apiOff, false},
			"exportSizeLimitExceeded": {"does not export documents of more than 10 MB", false},
			"cannotDownloadFile":      {noDownload, false}, "fileNotDownloadable": {noDownload, false}, "cannotExportFile": {noDownload, false},
			"cannotDownloadAbusiveFile": {"holds this file for malware or spam and does not give it out", false},
			"timeRangeEmpty":            {"says that the time range is empty", false},
			"backendError":              {broken, true}, "internalError": {broken, true},
		}
	case "slack":
		return slackMeanings()
	case "salesforce":
		return salesforceMeanings()
	}
	return nil
}

func slackMeanings() map[string]meaning {
	return map[string]meaning{
		"channel_not_found": {"has no such channel, or this account may not see it", false},
		"not_in_channel":    {"says that this account is not a member of the channel; join it first", false},
		"is_archived":       {"says that the channel is archived", false},
		"msg_too_long":      {"says that the text is too long", false},
		"no_text":           {"says that there is no text", false},
		"thread_not_found":  {"has no such thread in the channel", false}, "invalid_thread_ts": {"has no such thread in the channel", false},
		"cannot_reply_to_message": {"says that this message cannot be replied to", false},
		"ratelimited":             {throttled, true}, "rate_limited": {throttled, true}, "message_limit_exceeded": {throttled, true},
		"restricted_action": {policy, false}, "access_denied": {forbidden, false}, "no_permission": {forbidden, false},
		"restricted_action_read_only_channel":      {"says that only some people may post in this channel", false},
		"restricted_action_thread_only_channel":    {"says that only replies may be posted in this channel", false},
		"restricted_action_non_threadable_channel": {"says that threads are off in this channel", false},
		"ekm_access_denied":                        {policy, false}, "team_access_not_granted": {policy, false}, "org_login_required": {policy, false},
		"invalid_auth": {deadToken, false}, "not_authed": {deadToken, false}, "token_expired": {deadToken, false},
		"token_revoked": {deadToken, false}, "account_inactive": {"says that the account is deactivated", false},
		"not_allowed_token_type": {"does not let this kind of token do that", false},
		"internal_error":         {broken, true}, "fatal_error": {broken, true}, "service_unavailable": {broken, true}, "request_timeout": {broken, true},
	}
}

func salesforceMeanings() map[string]meaning {
	return map[string]meaning{
		"MALFORMED_QUERY":               {"says that the query is not valid SOQL", false},
		"INVALID_FIELD":                 {"says that a field does not exist or is hidden from this account", false},
		"INVALID_TYPE":                  {"says that the object does not exist or is hidden from this account", false},
		"INVALID_QUERY_FILTER_OPERATOR": {"says that a filter of the query compares in a way that its field does not allow", false},
		"INVALID_QUERY_LOCATOR":         {"has dropped this result in the meantime; start again without a cursor", false},
		"INVALID_QUERY_SCOPE":           {"says that the scope of the query does not exist", false},
		"QUERY_TOO_COMPLICATED":         {"says that the query is too complicated", false},
		"QUERY_TIMEOUT":                 {"took too long over the query; narrow it down", false},
		"OPERATION_TOO_LARGE":           {"says that the query covers too much; narrow it down", false},
		"EXCEEDED_ID_LIMIT":             {"says that the query covers too much; narrow it down", false},
		"NOT_FOUND":                     {notFound, false}, "ENTITY_IS_DELETED": {notFound, false}, "MALFORMED_ID": {"says that the id is not one of a record of this object", false},
		"INVALID_FIELD_FOR_INSERT_UPDATE": {"says that a field cannot be changed", false},
		"JSON_PARSER_ERROR":               {"says that a value does not fit its field", false},
		"REQUIRED_FIELD_MISSING":          {"says that a required field would be empty", false},
		"STRING_TOO_LONG":                 {"says that a value is too long for its field", false},
		"NUMBER_OUTSIDE_VALID_RANGE":      {"says that a number is out of range", false},
		"DUPLICATES_DETECTED":             {"says that the record would be a duplicate", false},

		"INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": {"says that a value is none of those that its field allows", false},
		"FIELD_CUSTOM_VALIDATION_EXCEPTION":       {"says that a rule of the organization forbids these values", false},

		"INSUFFICIENT_ACCESS": {forbidden, false}, "INSUFFICIENT_ACCESS_OR_READONLY": {forbidden, false}, "FUNCTIONALITY_NOT_ENABLED": {policy, false},
		"API_DISABLED_FOR_ORG":   {"says that this organization or user has no API access", false},
		"API_CURRENTLY_DISABLED": {broken, true},
		"REQUEST_LIMIT_EXCEEDED": {quota, false},
		"INVALID_SESSION_ID":     {deadToken, false},
		"SERVER_UNAVAILABLE":     {broken, true}, "UNABLE_TO_LOCK_ROW": {broken, true}, "UNKNOWN_EXCEPTION": {broken, true},
	}
}
