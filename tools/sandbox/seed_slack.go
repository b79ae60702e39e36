package sandbox

import (
	"fmt"
	"slices"
	"time"
)

// channel is a place to talk. Who is not in members can read a public one, but not write.
type channel struct {
	id, name, topic   string
	members           []string
	private, archived bool
}

func (ch channel) has(p person) bool { return slices.Contains(ch.members, p.name) }

func (ch channel) body(p person) reply {
	return reply{
		"id": ch.id, "name": ch.name, "name_normalized": ch.name, "is_channel": !ch.private, "is_group": ch.private, "is_im": false,
		"is_private": ch.private, "is_archived": ch.archived, "is_member": ch.has(p), "is_general": ch.name == "general",
		"num_members": len(ch.members), "topic": reply{"value": ch.topic}, "purpose": reply{"value": ch.topic},
	}
}

func channels() []channel {
	both := []string{"alice", "bob"}
	return []channel{
		{id: "C07SBXGEN01", name: "general", topic: "For everybody", members: both},
		{id: "C07SBXSALES", name: "sales", topic: "Deals, wins, questions", members: both},
		{id: "C07SBXENG01", name: "eng", topic: "Building and running it", members: both},
		{id: "C07SBXATLAS", name: "atlas-launch", topic: "Until launch day", members: both},
		{id: "C07SBXRANDM", name: "random", topic: "Lunch, cats, music", members: both},
		{id: "C07SBXHELP1", name: "helpdesk", topic: "Accounts and laptops", members: both},
		{id: "C07SBXONCAL", name: "oncall", topic: "Pages and hand-overs", members: []string{"bob"}},
		{id: "C07SBXWINS1", name: "customer-wins", topic: "Ring the bell", members: []string{"alice"}},
		{id: "C07SBXLEADS", name: "leadership", topic: "Private", members: []string{"alice"}, private: true},
		{id: "C07SBXOLD01", name: "summer-party", topic: "It was great", members: both, archived: true},
	}
}

// seededMessages are what people said on the Friday before this week.
func seededMessages(id string, now time.Time) []message {
	lines := seededLines(id)
	start := monday(now).AddDate(0, 0, -3).Add(9 * time.Hour)
	var out []message
	for i, l := range lines {
		at := start.Add(time.Duration(i*97) * time.Minute)
		out = append(out, message{Channel: id, User: l.user, Text: l.text, TS: fmt.Sprintf("%010d.%06d", at.Unix(), 100+i*37)})
	}
	return out
}

type line struct{ user, text string }

func seededLines(id string) []line {
	const a, b = "U07SBXALICE", "U07SBXBOB01"
	switch id {
	case "C07SBXGEN01":
		return []line{
			{b, "Reminder: all hands is on Thursday at 15:00 UTC."},
			{a, "New colleague on Monday in sales, please say hello."},
			{b, "The coffee machine on the second floor works again."},
			{a, "Stark signed! Details in #sales."},
		}
	case "C07SBXSALES":
		return []line{
			{a, "Northwind asked for a price for three years. Offer goes out on Friday."},
			{a, "Globex has a new head of IT, Felix. First meeting is this week."},
			{b, "The audit-log export that Northwind wants is in 4.12.0."},
			{a, "Perfect, I will show it in the demo."},
			{a, "Stark is closed: 24k, pilot with 40 seats."},
		}
	case "C07SBXENG01":
		return []line{
			{b, "Write-up for the checkout incident is in Drive, please comment."},
			{b, "4.12.0 is out, release notes are in the Engineering folder."},
			{a, "Customers ask whether exports can run each night. Is that far away?"},
			{b, "Two weeks, after Atlas."},
		}
	case "C07SBXATLAS":
		return []line{
			{b, "Feature freeze is this week. What is not in is not in."},
			{a, "Ten beta customers are confirmed."},
			{b, "Load test at three times the peak is green."},
		}
	case "C07SBXRANDM":
		return []line{{a, "Green Fork has dumplings today."}, {b, "On my way."}}
	case "C07SBXHELP1":
		return []line{{b, "My laptop asks for a new certificate, is that you?"}, {a, "Same here."}}
	case "C07SBXONCAL":
		return []line{{b, "Hand-over: quiet week, one page for disk space."}}
	case "C07SBXWINS1":
		return []line{{a, "Stark Industries, 24k, welcome!"}}
	case "C07SBXLEADS":
		return []line{{a, "Draft of the budget is shared with the three of us."}}
	case "C07SBXOLD01":
		return []line{{b, "Thanks to everybody who helped to clean up."}}
	}
	return nil
}
