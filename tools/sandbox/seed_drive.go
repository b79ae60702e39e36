package sandbox

import (
	"strconv"
	"strings"
	"time"
)

const (
	salesFolder = "0AFsbxSalesFolderUk9PVA"
	engFolder   = "0AFsbxEngFolderUk9PVAab"
)

// files is all of the company's Drive. Times lie before this week's Monday, so that they hold still for a week.
func (s *Sandbox) files() []file {
	week := monday(s.cfg.Now())
	fill := strings.NewReplacer(
		"{year}", strconv.Itoa(week.Year()), "{next}", strconv.Itoa(week.Year()+1),
		"{quarter}", "Q"+strconv.Itoa((int(week.Month())+2)/3), "{week}", week.Format("2 January"),
	)
	all := append(salesFiles(), engineeringFiles()...)
	all = append(all, s.plainFiles()...)
	for i := range all {
		f := &all[i]
		f.name, f.text, f.about = fill.Replace(f.name), fill.Replace(f.text), fill.Replace(f.about)
		f.modified = week.Add(-time.Duration(7*i+5) * time.Hour)
	}
	return all
}

func salesFiles() []file {
	return []file{
		{id: "1SbxQ4salesPlan8dKc2vXw0RtYbNmLpQzAe", name: "{quarter} sales plan", mime: docType, owner: "alice", folder: salesFolder, shared: true, text: docSalesPlan},
		{id: "1SbxNorthwindNotes5hJ7gFdSaPoIuYtReWq", name: "Northwind renewal: notes", mime: docType, owner: "alice", folder: salesFolder, shared: true, text: docNorthwind},
		{id: "1SbxPricingFaq3kLmNbVcXzAsDfGhJkLqWeR", name: "Pricing FAQ", mime: docType, owner: "alice", folder: salesFolder, shared: true, text: docPricing},
		{id: "1SbxForecastSheet9pOiUyTrEwQaSdFgHjKl", name: "Pipeline forecast {year}", mime: sheetType, owner: "alice", folder: salesFolder, shared: true, text: sheetForecast},
		{id: "1SbxCompReview2zXcVbNmQwErTyUiOpAsDfG", name: "Compensation review (private)", mime: docType, owner: "alice", folder: "root", text: docCompensation},
		{id: "1SbxLaunchDeck6mNbVcXzLkJhGfDsAqWeRtY", name: "Atlas launch deck", mime: slidesType, owner: "alice", folder: salesFolder, shared: true, text: deckLaunch},
		{id: "1SbxBudgetSheet4rTyUiOpLkJhGfDsAzXcVb", name: "Budget {next} draft", mime: sheetType, owner: "alice", folder: "root", shared: true, text: sheetBudget},
		{id: salesFolder, name: "Sales", mime: folderType, owner: "alice", folder: "root", shared: true},
		{id: "1SbxOldPricing7qAzWsXeDcRfVtGbYhNuJmI", name: "Old price list", mime: docType, owner: "alice", folder: salesFolder, shared: true, trashed: true, text: "# Old price list\n\nReplaced by the pricing FAQ.\n"},
	}
}

func engineeringFiles() []file {
	return []file{
		{id: "1SbxIncidentReview8yHnUjMkIoLpQaZwSxE", name: "Incident review: checkout latency", mime: docType, owner: "bob", folder: engFolder, shared: true, text: docIncident},
		{id: "1SbxEventPipeline1dCrFvTgByHnUjMiKoLp", name: "Architecture: event pipeline", mime: docType, owner: "bob", folder: engFolder, shared: true, text: docPipeline},
		{id: "1SbxHandbook5tGbYhNuJmIkOlPqAzWsXeDcR", name: "Onboarding handbook", mime: docType, owner: "bob", folder: "root", shared: true, text: docHandbook},
		{id: "1SbxOnCallSheet3fVtGbYhNuJmIkOlPqAzWs", name: "On-call rota", mime: sheetType, owner: "bob", folder: engFolder, shared: true, text: sheetOnCall},
		{id: "1SbxHiringNotes0xEdCrFvTgByHnUjMiKoLp", name: "Hiring notes: backend engineer (private)", mime: docType, owner: "bob", folder: "root", text: docHiring},
		{id: "1SbxLaunchPlan9oLpQaZwSxEdCrFvTgByHnU", name: "Atlas launch plan", mime: docType, owner: "bob", folder: engFolder, shared: true, text: docLaunchPlan},
		{id: engFolder, name: "Engineering", mime: folderType, owner: "bob", folder: "root", shared: true},
	}
}

// plainFiles are files with bytes of their own: text, a PDF, an image's header, and one that is too large.
func (s *Sandbox) plainFiles() []file {
	return []file{
		{id: "1SbxReleaseNotesTxt2wSxEdCrFvTgByHnUj", name: "release-notes.txt", mime: "text/plain", owner: "bob", folder: engFolder, shared: true, text: textReleaseNotes},
		{id: "1SbxQuotesTxt7uJmIkOlPqAzWsXeDcRfVtGb", name: "customer-quotes.txt", mime: "text/plain", owner: "alice", folder: salesFolder, text: textQuotes},
		{id: "1SbxMsaPdf4bYhNuJmIkOlPqAzWsXeDcRfVtG", name: "Northwind master agreement.pdf", mime: "application/pdf", owner: "alice", folder: salesFolder, shared: true, about: "Signed copy.", raw: func() []byte { return pdf("Master agreement: Example Corp and Northwind") }},
		{id: "1SbxTranscripts6eDcRfVtGbYhNuJmIkOlPq", name: "support-calls-archive.txt", mime: "text/plain", owner: "bob", folder: engFolder, shared: true, about: "All support calls as text, about 2 MB.", raw: s.large},
		{id: "1SbxMetricsCsv1kOlPqAzWsXeDcRfVtGbYhN", name: "signups-by-week.csv", mime: "text/csv", owner: "bob", folder: engFolder, shared: true, text: csvSignups},
	}
}
