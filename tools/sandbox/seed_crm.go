package sandbox

import (
	"fmt"
	"strings"
	"time"
)

// crm is the organisation's data as one person sees it: accounts, contacts and opportunities are shared,
// leads belong to their owner.
func crm(p person, now time.Time) []table {
	week := monday(now)
	users := userRows()
	accounts := accountRows(users, week)
	return []table{
		{name: "User", columns: columns("Id Name FirstName LastName Email Title Username IsActive:b"), rows: userList(users)},
		{
			name:    "Account",
			columns: columns("Id Name Industry Type BillingCity BillingCountry AnnualRevenue:n NumberOfEmployees:n Website Phone Description OwnerId CreatedDate:t LastModifiedDate:t IsDeleted:b"),
			parents: map[string]string{"Owner": "User"}, rows: accounts,
		},
		{
			name:    "Contact",
			columns: columns("Id FirstName LastName Name Email Phone Title Department MailingCity AccountId OwnerId CreatedDate:t LastModifiedDate:t IsDeleted:b"),
			parents: map[string]string{"Account": "Account", "Owner": "User"}, rows: contactRows(accounts, week),
		},
		{
			name:    "Opportunity",
			columns: columns("Id Name AccountId StageName Amount:n Probability:n ExpectedRevenue:n CloseDate:d IsClosed:b IsWon:b Type LeadSource NextStep Description OwnerId CreatedDate:t LastModifiedDate:t IsDeleted:b"),
			parents: map[string]string{"Account": "Account", "Owner": "User"}, rows: opportunityRows(users, accounts, week),
		},
		{
			name:    "Lead",
			columns: columns("Id FirstName LastName Name Company Status LeadSource Email Phone Title Industry Rating IsConverted:b OwnerId CreatedDate:t LastModifiedDate:t IsDeleted:b"),
			parents: map[string]string{"Owner": "User"}, rows: leadRows(users, p, week),
		},
	}
}

// columns reads "Name Amount:n CloseDate:d"; no mark is text.
func columns(list string) (out []column) {
	for _, f := range strings.Fields(list) {
		name, mark, _ := strings.Cut(f, ":")
		k, marked := map[string]kind{"n": numberKind, "b": truthKind, "d": dayKind, "t": momentKind}[mark]
		if !marked {
			k = textKind
		}
		out = append(out, column{name, k})
	}
	return out
}

// sfKey is an 18-character id: the object's prefix and a number.
func sfKey(prefix string, n int) string { return fmt.Sprintf("%sQy00000%05dIAX", prefix, n) }

func userRows() map[string]record {
	out := map[string]record{}
	for _, p := range people() {
		out[p.name] = record{
			"Id": p.sfID, "Name": p.full(), "FirstName": p.given, "LastName": p.family, "Email": p.email,
			"Title": p.title, "Username": p.name + "@example.com.sandbox", "IsActive": true,
		}
	}
	return out
}

func userList(users map[string]record) (out []record) {
	for _, p := range people() {
		out = append(out, users[p.name])
	}
	return out
}

// owned adds what every record has.
func owned(r, owner record, created time.Time) record {
	r["Owner"], r["OwnerId"], r["IsDeleted"] = owner, owner["Id"], false
	r["CreatedDate"], r["LastModifiedDate"] = created, created.Add(50*time.Hour)
	return r
}

func accountRows(users map[string]record, week time.Time) (out []record) {
	for i, a := range []struct {
		name, industry, kind, city, country, site string
		revenue, people                           float64
	}{
		{"Northwind Traders", "Food & Beverage", "Customer - Direct", "Hamburg", "Germany", "northwind.example", 18_400_000, 260},
		{"Globex", "Energy", "Prospect", "Utrecht", "Netherlands", "globex.example", 92_000_000, 1400},
		{"Initech", "Technology", "Customer - Direct", "Austin", "USA", "initech.example", 7_200_000, 85},
		{"Umbrella", "Biotechnology", "Customer - Direct", "Hamburg", "Germany", "umbrella.example", 140_000_000, 2100},
		{"Stark Industries", "Manufacturing", "Customer - Direct", "Leeds", "United Kingdom", "stark.example", 310_000_000, 5200},
		{"Wayne Enterprises", "Engineering", "Prospect", "Chicago", "USA", "wayne.example", 205_000_000, 3900},
		{"Hooli", "Technology", "Prospect", "Dublin", "Ireland", "hooli.example", 88_000_000, 760},
		{"Acme O'Hara Ltd", "Retail", "Customer - Channel", "Cork", "Ireland", "acme.example", 4_100_000, 44},
		{"Cyberdyne Systems", "Electronics", "Customer - Direct", "Graz", "Austria", "cyberdyne.example", 36_500_000, 410},
		{"Soylent", "Food & Beverage", "Prospect", "Malmö", "Sweden", "soylent.example", 12_900_000, 120},
	} {
		owner := users["alice"]
		if i%3 == 2 {
			owner = users["bob"]
		}
		out = append(out, owned(record{
			"Id": sfKey("001", i+1), "Name": a.name, "Industry": a.industry, "Type": a.kind, "BillingCity": a.city,
			"BillingCountry": a.country, "AnnualRevenue": a.revenue, "NumberOfEmployees": a.people,
			"Website": "https://" + a.site, "Phone": fmt.Sprintf("+49 40 5550%03d", 100+i),
		}, owner, week.AddDate(0, 0, -400+20*i)))
	}
	return out
}

// contactRows are 24 people for each of the ten accounts, so that a query can have more than one batch.
func contactRows(accounts []record, week time.Time) (out []record) {
	first := strings.Fields("Erin Felix Bill Jill Pepper Lucius Gavin Maeve Miles Sol Priya Tomasz Aiko Nadia Omar Lena Ravi Chloe Hugo Ines Jonas Kira Liam Mona")
	last := strings.Fields("Okafor Brandt Lumbergh Valentine Hall Foxx Belson Byrne Dyson Thorn Raman Nowak Sato Haddad Farouk Vogel Iyer Martin Silva Costa Berg Novak Walsh Keller")
	titles := []string{"Head of IT", "Procurement Manager", "CFO", "Operations Lead", "Security Officer", "Analyst"}
	for i, account := range accounts {
		site := strings.TrimPrefix(account["Website"].(string), "https://")
		for j := range first {
			f, l := first[(i+j)%len(first)], last[(i+7*j+j*j)%len(last)]
			if j == 0 {
				f, l = first[i], last[i]
			}
			c := record{
				"Id": sfKey("003", i*len(first)+j+1), "FirstName": f, "LastName": l, "Name": f + " " + l, "Title": titles[j%len(titles)],
				"Email": strings.ToLower(f + "." + l + "@" + site), "Phone": fmt.Sprintf("+49 40 5551%03d", i*24+j),
				"MailingCity": account["BillingCity"], "AccountId": account["Id"], "Account": account,
			}
			if j%4 != 3 {
				c["Department"] = []string{"IT", "Finance", "Operations"}[j%3]
			}
			out = append(out, owned(c, account["Owner"].(record), week.AddDate(0, 0, -300+i+j)))
		}
	}
	return out
}

func opportunityRows(users map[string]record, accounts []record, week time.Time) (out []record) {
	for i, o := range []struct {
		name, stage, source, next string
		account, closes           int
		amount                    float64
		owner                     string
	}{
		{"Northwind renewal, three years", "Negotiation/Review", "Existing customer", "Send both variants", 0, 11, 144_000, "alice"},
		{"Northwind: 60 more seats", "Proposal/Price Quote", "Existing customer", "", 0, 32, 14_400, "alice"},
		{"Globex first 400 seats", "Qualification", "Web", "First meeting with Felix", 1, 75, 96_000, "alice"},
		{"Initech expansion", "Proposal/Price Quote", "Existing customer", "Liability clause", 2, 25, 38_000, "alice"},
		{"Umbrella roll-out", "Negotiation/Review", "Partner", "Workshop on site", 3, 18, 72_000, "alice"},
		{"Stark pilot", "Closed Won", "Trade show", "", 4, -4, 24_000, "alice"},
		{"Stark: all plants", "Prospecting", "Existing customer", "Ask Pepper for a sponsor", 4, 140, 260_000, "alice"},
		{"Wayne platform", "Needs Analysis", "Web", "Load figures from Bob", 5, 61, 55_000, "bob"},
		{"Hooli search add-on", "Closed Lost", "Cold call", "", 6, -20, 31_000, "alice"},
		{"Acme starter", "Closed Won", "Partner", "", 7, -45, 5_300, "bob"},
		{"Acme renewal", "Qualification", "Existing customer", "", 7, 90, 5_300, "bob"},
		{"Cyberdyne compliance package", "Value Proposition", "Trade show", "Security review", 8, 40, 47_500, "bob"},
		{"Cyberdyne training", "Closed Won", "Existing customer", "", 8, -70, 8_200, "bob"},
		{"Soylent evaluation", "Prospecting", "Web", "", 9, 110, 0, "alice"},
		{"Globex services", "Needs Analysis", "Web", "Scope call", 1, 100, 22_000, "bob"},
		{"Umbrella support plan", "Closed Won", "Existing customer", "", 3, -12, 18_000, "alice"},
	} {
		chance := chances()[o.stage]
		r := record{
			"Id": sfKey("006", i+1), "Name": o.name, "StageName": o.stage, "Probability": chance, "CloseDate": week.AddDate(0, 0, o.closes),
			"IsClosed": strings.HasPrefix(o.stage, "Closed"), "IsWon": o.stage == "Closed Won", "LeadSource": o.source,
			"AccountId": accounts[o.account]["Id"], "Account": accounts[o.account], "Type": "New Business",
		}
		if o.source == "Existing customer" {
			r["Type"] = "Existing Business"
		}
		if o.amount > 0 { // one is not valued yet
			r["Amount"], r["ExpectedRevenue"] = o.amount, o.amount*chance/100
		}
		if o.next != "" {
			r["NextStep"] = o.next
		}
		out = append(out, owned(r, users[o.owner], week.AddDate(0, 0, -90+3*i)))
	}
	return out
}

// chances are the probabilities that come with the stages.
func chances() map[string]float64 {
	return map[string]float64{
		"Prospecting": 10, "Qualification": 20, "Needs Analysis": 30, "Value Proposition": 50, "Proposal/Price Quote": 65,
		"Negotiation/Review": 80, "Closed Won": 100, "Closed Lost": 0,
	}
}

func leadRows(users map[string]record, p person, week time.Time) (out []record) {
	for i, l := range []struct{ first, last, company, status, source, rating, owner string }{
		{"Noor", "de Vries", "Tulip Logistics", "Open - Not Contacted", "Web", "Warm", "alice"},
		{"Samuel", "Adeyemi", "Lagos Freight", "Working - Contacted", "Trade show", "Hot", "alice"},
		{"Greta", "Lindholm", "Fjord Optics", "Open - Not Contacted", "Web", "Cold", "alice"},
		{"Paolo", "Ricci", "Ricci Marmi", "Closed - Not Converted", "Cold call", "Cold", "alice"},
		{"Hana", "Kim", "Seoul Print", "Working - Contacted", "Partner", "Hot", "alice"},
		{"Victor", "Hugo-Meyer", "Meyer Anlagen", "Open - Not Contacted", "Web", "Warm", "alice"},
		{"Teresa", "Alves", "Porto Data", "Working - Contacted", "Developer forum", "Hot", "bob"},
		{"Ibrahim", "Saleh", "Cairo Cloud", "Open - Not Contacted", "Developer forum", "Warm", "bob"},
		{"Mei", "Tan", "Straits Software", "Working - Contacted", "Developer forum", "Warm", "bob"},
		{"Lukas", "Gruber", "Alpen IT", "Open - Not Contacted", "Web", "Cold", "bob"},
	} {
		if l.owner != p.name {
			continue
		}
		out = append(out, owned(record{
			"Id": sfKey("00Q", i+1), "FirstName": l.first, "LastName": l.last, "Name": l.first + " " + l.last, "Company": l.company,
			"Status": l.status, "LeadSource": l.source, "Rating": l.rating, "IsConverted": false,
			"Email": strings.ToLower(l.first) + "@" + strings.ToLower(strings.ReplaceAll(l.company, " ", "-")) + ".example",
		}, users[l.owner], week.AddDate(0, 0, -3*i-1)))
	}
	return out
}
