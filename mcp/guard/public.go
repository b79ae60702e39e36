package guard

import "net/netip"

// Public says whether a is an address of the public internet, and not one that
// leads into a network of its own: loopback, private, shared, link-local,
// documentation, multicast, or an IPv6 address that a translator or a tunnel turns
// into an IPv4 one (IANA's special-purpose registries, RFC 6890). An IPv4 address
// written as IPv6 counts as what it is; one with a zone never does.
func Public(a netip.Addr) bool {
	a = a.Unmap()
	switch {
	case !a.IsValid(), a.Zone() != "":
		return false
	case a.Is4():
		return !within(a, reserved4())
	}
	return globalUnicast.Contains(a) && !within(a, reserved6()) && !isatap(a)
}

// globalUnicast is all of IPv6 that IANA has given out. What lies outside, and so
// needs no line of its own: ::1, ::ffff:0:0/96, 64:ff9b::/96 and 64:ff9b:1::/48
// (NAT64), 100::/64, 5f00::/16, fc00::/7, fe80::/10, ff00::/8.
var globalUnicast = netip.MustParsePrefix("2000::/3")

func reserved4() []netip.Prefix {
	return []netip.Prefix{
		block4(0, 0, 0, 0, 8),       // this network
		block4(10, 0, 0, 0, 8),      // private
		block4(100, 64, 0, 0, 10),   // shared by carriers; Alibaba's metadata service
		block4(127, 0, 0, 0, 8),     // loopback
		block4(169, 254, 0, 0, 16),  // link-local; metadata services of clouds
		block4(172, 16, 0, 0, 12),   // private
		block4(192, 0, 0, 0, 24),    // protocol assignments; Oracle's metadata service
		block4(192, 0, 2, 0, 24),    // documentation
		block4(192, 88, 99, 0, 24),  // 6to4 relays, no longer in use
		block4(192, 168, 0, 0, 16),  // private
		block4(198, 18, 0, 0, 15),   // benchmarks
		block4(198, 51, 100, 0, 24), // documentation
		block4(203, 0, 113, 0, 24),  // documentation
		block4(224, 0, 0, 0, 4),     // multicast
		block4(240, 0, 0, 0, 4),     // for later; broadcast
	}
}

func block4(a, b, c, d byte, bits int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{a, b, c, d}), bits)
}

func reserved6() []netip.Prefix {
	return []netip.Prefix{
		block6(23, 0x20, 0x01, 0x00),       // protocol assignments; Teredo is 2001::/32
		block6(32, 0x20, 0x01, 0x0d, 0xb8), // documentation
		block6(16, 0x20, 0x02),             // 6to4
		block6(20, 0x3f, 0xff),             // documentation
	}
}

func block6(bits int, head ...byte) netip.Prefix {
	var all [16]byte
	copy(all[:], head)
	return netip.PrefixFrom(netip.AddrFrom16(all), bits)
}

func within(a netip.Addr, blocks []netip.Prefix) bool {
	for _, b := range blocks {
		if b.Contains(a) {
			return true
		}
	}
	return false
}

// isatap says whether a tunnel would send what is for a on to the IPv4 address in
// its last four bytes, whatever the network in front (RFC 5214 §6.1).
func isatap(a netip.Addr) bool {
	b := a.As16()
	return b[8]&^0x03 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}
