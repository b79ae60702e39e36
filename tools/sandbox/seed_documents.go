package sandbox

// The texts of the documents: Markdown for documents and slides, CSV for sheets. {year}, {next}, {quarter}
// and {week} are filled in from the clock.
const (
	docSalesPlan = `# {quarter} sales plan

Owner: Alice Archer. Last discussed in the pipeline review in the week of {week}.

## Goal

Close **420,000** in new business and renew **Northwind** and **Umbrella**.

## Targets by segment

| Segment | Accounts | Target | Committed |
| --- | --- | --- | --- |
| Enterprise | 6 | 250,000 | 145,000 |
| Mid-market | 14 | 120,000 | 88,000 |
| Small | 30 | 50,000 | 41,500 |

## What we do

1. Every deal above 20k has a named sponsor at the customer.
2. Proposals leave within two days after the demo.
3. Discounts above 15 % need Carol's word.

## Risks

- Northwind compares us with two others, and the price for three years decides.
- Globex has a new head of IT (Felix), who has not seen the product yet.
`
	docNorthwind = `# Northwind renewal: notes

## Call with Erin Okafor

- They use 180 of 200 seats and expect 260 next year.
- Must have: export of the audit log, single sign-on, a data-processing agreement.
- Asked for a price for three years; today they pay 48,000 a year.

## Next steps

| Who | What | Until |
| --- | --- | --- |
| Alice | Three-year offer, two variants | Friday |
| Bob | Show the export in the demo | next week |
| Dan | Send the data-processing agreement | done |

## Open question

Does the volume discount apply before or after the renewal discount?
`
	docPricing = `# Pricing FAQ

## What does a seat cost?

| Plan | Per seat and month | From seats |
| --- | --- | --- |
| Team | 12 | 5 |
| Business | 20 | 25 |
| Enterprise | 28 | 100 |

## Do you give discounts?

10 % for two years, 15 % for three. More needs approval.

## What about non-profits?

Half price on Team and Business, on proof.
`
	docCompensation = `# Compensation review (private)

Draft, Alice only. Bands move by 3 % in January. Two promotions proposed: Dan, Priya.
`
	docIncident = `# Incident review: checkout latency

**Severity 2, 47 minutes, no data lost.** Author: Bob Baker.

## What happened

A migration added an index without CONCURRENTLY and held a lock on the orders table. Requests queued, the
checkout's p99 rose from 180 ms to 9 s.

## Timeline (UTC)

| Time | Event |
| --- | --- |
| 13:02 | Migration starts |
| 13:05 | Alert: checkout p99 above 2 s |
| 13:21 | Migration found in pg_stat_activity |
| 13:24 | Cancelled, queue drains |
| 13:49 | Back to normal |

## What we change

- Migrations run with lock_timeout = 2s. **Done.**
- The linter refuses CREATE INDEX without CONCURRENTLY. Owner: Bob.
- The alert links the run-book. Owner: Carol.
`
	docPipeline = `# Architecture: event pipeline

## Decision to make

Outbox table or log-based change capture for the order events.

## Outbox

- One more write in each transaction, but nothing else to run.
- Order is kept for each aggregate.

## Log-based capture

- No change to the applications; a connector to run and to watch.
- Schema changes leak into the events.

## Proposal

Start with the **outbox**. Volume is 40 events a second at peak; the table stays small with a sweep each hour.
`
	docHandbook = `# Onboarding handbook

## Day one

Laptop, keys, a buddy. Your buddy has an hour for you each day of the first week.

## Accounts

Ask in #helpdesk. Nobody ever needs your password; say no and tell security if somebody asks.

## How we work

- Stand-up at 9:15 UTC, fifteen minutes.
- Decisions are written down where others find them.
- Holidays: 30 days, tell your team two weeks ahead.
`
	docHiring = `# Hiring notes: backend engineer (private)

Three candidates in the second round. Ask about: migrations under load, idempotency, a bug they are proud of.
`
	docLaunchPlan = `# Atlas launch plan

## Dates

Feature freeze is this week, the beta goes to ten customers, launch is two weeks after {week}.

## Go or no-go checklist

| Item | Owner | State |
| --- | --- | --- |
| Load test at 3x peak | Bob | green |
| Security review: token storage | Bob | amber |
| Price page | Alice | green |
| Support trained | Dan | red |

## Beta customers

Northwind, Globex, Initech, Umbrella, Stark, Wayne, Hooli, Acme, Cyberdyne, Soylent.
`
	deckLaunch = `# Atlas

One place for every export.

# Why now

Customers ask for it in four of five renewals.

# Price

Included in Business and Enterprise.
`
	sheetForecast = `Deal,Account,Stage,Amount,Probability,Owner
Northwind renewal,Northwind Traders,Negotiation/Review,144000,70,Alice
Globex first 400 seats,Globex,Qualification,96000,20,Alice
Initech expansion,Initech,Proposal/Price Quote,38000,50,Alice
Umbrella roll-out,Umbrella,Negotiation/Review,72000,80,Alice
Stark pilot,Stark Industries,Closed Won,24000,100,Alice
Wayne platform,Wayne Enterprises,Needs Analysis,55000,30,Bob
`
	sheetBudget = `Line,This year,{next} draft,Note
Salaries,1840000,1980000,"two hires in engineering, one in sales"
Hosting,126000,139000,three-year contract ends in May
Tools,48000,44000,two licences dropped
Travel,37000,40000,
Events,22000,30000,Atlas launch party
`
	sheetOnCall = `Week,Primary,Secondary
this week,Carol,Dan
next week,Bob,Carol
in two weeks,Dan,Bob
in three weeks,Carol,Dan
`
	textReleaseNotes = `Release notes

4.12.0
- Export of the audit log as CSV and JSON lines.
- Migrations run with a lock timeout of two seconds.
- Fixed: time zones in the weekly report.

4.11.3
- Fixed: checkout could wait for a migration's lock.
`
	textQuotes = `"The export saved us a week every quarter." - Erin Okafor, Northwind
"Support answers before I have finished typing." - Jill Valentine, Umbrella
"We were live in two days." - Pepper Hall, Stark
`
	csvSignups = "week,signups,paid\n-4,118,22\n-3,131,25\n-2,127,31\n-1,149,34\n"
)
