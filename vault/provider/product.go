package provider

import "strings"

// Product is the vendor's product that a scope reads or changes ("Google
// Calendar"), by the longest beginning that the catalog lists; "" where it says nothing of use.
func (p *Provider) Product(scope string) string {
	scope = p.Normalize(scope)
	best, name := -1, ""
	for begin, n := range p.Scope.Products {
		if len(begin) > best && strings.HasPrefix(scope, begin) {
			best, name = len(begin), n
		}
	}
	return name
}
