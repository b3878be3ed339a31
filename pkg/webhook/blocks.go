package webhook

import "net/netip"

// block is a range of addresses that no webhook may reach.
type block struct {
	prefix netip.Prefix
	name   string
	local  bool // reachable with [Guard.AllowPrivate]
}

// globalUnicast is all that IANA has opened for global unicast in IPv6
// (https://www.iana.org/assignments/ipv6-address-space). What lies outside is
// special or unassigned, and refused as a whole: ::/96 (IPv4-compatible),
// 64:ff9b::/96 and 64:ff9b:1::/48 (NAT64), 100::/64, 5f00::/16, fe80::/10,
// ff00::/8 and the rest.
var globalUnicast = netip.MustParsePrefix("2000::/3")

// blocks are the refused ranges, the first that matches names the reason. They
// are every entry of IANA's special-purpose registries
// (https://www.iana.org/assignments/iana-ipv4-special-registry and
// iana-ipv6-special-registry), also the few that are marked as globally
// reachable, for none of those serves webhooks; multicast
// (https://www.iana.org/assignments/multicast-addresses); and the metadata
// services of cloud providers.
var blocks = []block{
	// Metadata services come first: some lie inside of ranges that
	// AllowPrivate opens, and they are never opened.
	{netip.MustParsePrefix("169.254.169.254/32"), "cloud metadata", false}, // AWS, Azure, Google
	{netip.MustParsePrefix("fd00:ec2::/32"), "cloud metadata", false},      // AWS: metadata ::254, DNS ::253, time ::123
	{netip.MustParsePrefix("fd20:ce::254/128"), "cloud metadata", false},   // Google
	{netip.MustParsePrefix("100.100.100.200/32"), "cloud metadata", false}, // Alibaba
	{netip.MustParsePrefix("192.0.0.192/32"), "cloud metadata", false},     // Oracle
	{netip.MustParsePrefix("168.63.129.16/32"), "cloud metadata", false},   // Azure

	{netip.MustParsePrefix("127.0.0.0/8"), "loopback", true},           // RFC 1122
	{netip.MustParsePrefix("10.0.0.0/8"), "private", true},             // RFC 1918
	{netip.MustParsePrefix("172.16.0.0/12"), "private", true},          // RFC 1918
	{netip.MustParsePrefix("192.168.0.0/16"), "private", true},         // RFC 1918
	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified", false},         // RFC 791, "this network"
	{netip.MustParsePrefix("100.64.0.0/10"), "shared", false},          // RFC 6598, carrier-grade NAT
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local", false},     // RFC 3927
	{netip.MustParsePrefix("192.0.0.0/24"), "reserved", false},         // RFC 6890, IETF protocol assignments
	{netip.MustParsePrefix("192.0.2.0/24"), "documentation", false},    // RFC 5737
	{netip.MustParsePrefix("192.31.196.0/24"), "reserved", false},      // RFC 7535, AS112
	{netip.MustParsePrefix("192.52.193.0/24"), "reserved", false},      // RFC 7450, AMT
	{netip.MustParsePrefix("192.88.99.0/24"), "6to4", false},           // RFC 7526, relay anycast
	{netip.MustParsePrefix("192.175.48.0/24"), "reserved", false},      // RFC 7534, AS112
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmarking", false},    // RFC 2544
	{netip.MustParsePrefix("198.51.100.0/24"), "documentation", false}, // RFC 5737
	{netip.MustParsePrefix("203.0.113.0/24"), "documentation", false},  // RFC 5737
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast", false},         // RFC 5771
	{netip.MustParsePrefix("255.255.255.255/32"), "broadcast", false},  // RFC 919
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved", false},          // RFC 1112

	{netip.MustParsePrefix("::1/128"), "loopback", true},             // RFC 4291
	{netip.MustParsePrefix("fc00::/7"), "unique-local", true},        // RFC 4193
	{netip.MustParsePrefix("::/128"), "unspecified", false},          // RFC 4291
	{netip.MustParsePrefix("::/96"), "IPv4-compatible", false},       // RFC 4291, deprecated
	{netip.MustParsePrefix("64:ff9b::/96"), "NAT64", false},          // RFC 6052
	{netip.MustParsePrefix("64:ff9b:1::/48"), "NAT64", false},        // RFC 8215
	{netip.MustParsePrefix("fe80::/10"), "link-local", false},        // RFC 4291
	{netip.MustParsePrefix("fec0::/10"), "site-local", false},        // RFC 3879, deprecated
	{netip.MustParsePrefix("ff00::/8"), "multicast", false},          // RFC 4291
	{netip.MustParsePrefix("2001::/32"), "Teredo", false},            // RFC 4380
	{netip.MustParsePrefix("2001:2::/48"), "benchmarking", false},    // RFC 5180
	{netip.MustParsePrefix("2001::/23"), "reserved", false},          // RFC 2928, IETF protocol assignments
	{netip.MustParsePrefix("2001:db8::/32"), "documentation", false}, // RFC 3849
	{netip.MustParsePrefix("2002::/16"), "6to4", false},              // RFC 3056
	{netip.MustParsePrefix("2620:4f:8000::/48"), "reserved", false},  // RFC 7534, AS112
	{netip.MustParsePrefix("3fff::/20"), "documentation", false},     // RFC 9637
}
