// Package natural is the order in which people look for a name in a list.
package natural

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Compare is the order: capital and small letters are the same, and 2 comes before 10, unless nothing else differs.
func Compare(a, b string) int { return cmp.Or(Loosely(a, b), strings.Compare(a, b)) }

// Loosely is Compare for which capital letters, and zeros before a number, make no difference.
func Loosely(a, b string) int {
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		x, y := a[i], b[j]
		if digit(x) && digit(y) {
			var m, n string
			m, i = number(a, i)
			n, j = number(b, j)
			if len(m) != len(n) {
				return len(m) - len(n)
			}
			if c := strings.Compare(m, n); c != 0 {
				return c
			}
			continue
		}
		if x, y = small(x), small(y); x != y {
			return int(x) - int(y)
		}
		i++
		j++
	}
	return (len(a) - i) - (len(b) - j)
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// small knows the capital letters of ASCII alone: 10,000 names are compared for each page.
func small(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// number reads the digits at i, without the zeros before them, and tells where they end.
func number(s string, i int) (digits string, end int) {
	for i < len(s) && s[i] == '0' {
		i++
	}
	end = i
	for end < len(s) && digit(s[end]) {
		end++
	}
	return s[i:end], end
}

// ComparePeople is the order of SortPeople.
func ComparePeople(a, b string) int { return cmp.Or(Loosely(Plain(a), Plain(b)), Compare(a, b)) }

// SortPeople puts what has a name of people's into the order, for which an accent makes no difference either: Émile
// stands between Eddie and Emma.
func SortPeople[T any](all []T, name func(T) string) {
	type named struct {
		plain, name string
		one         T
	}
	sorted := make([]named, len(all))
	for i, one := range all {
		sorted[i] = named{Plain(name(one)), name(one), one}
	}
	slices.SortStableFunc(sorted, func(a, b named) int {
		return cmp.Or(Loosely(a.plain, b.plain), Compare(a.name, b.name))
	})
	for i := range sorted {
		all[i] = sorted[i].one
	}
}

// accents are letters of Latin-1 and Latin Extended-A, by the letter that they are looked for under.
var accents = func() map[rune]string {
	all := make(map[rune]string)
	for _, row := range strings.Fields("aàáâãäåāăą cçćĉċč dďđð eèéêëēĕėęě gĝğġģ hĥħ iìíîïĩīĭįı jĵ kķĸ lĺļľŀł nñńņňŉŋ " +
		"oòóôõöøōŏő rŕŗř sśŝşš tţťŧþ uùúûüũūŭůűų wŵ yýÿŷ zźżž") {
		for _, r := range row[1:] {
			all[r] = row[:1]
		}
	}
	all['ß'], all['æ'], all['œ'], all['ĳ'] = "ss", "ae", "oe", "ij"
	return all
}()

// Plain is the name in small letters without accents.
func Plain(name string) string {
	if !strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf || 'A' <= r && r <= 'Z' }) {
		return name
	}
	var b strings.Builder
	for _, r := range name {
		r = unicode.ToLower(r)
		if plain, ok := accents[r]; ok {
			b.WriteString(plain)
		} else if !unicode.Is(unicode.Mn, r) { // an accent as a character of its own
			b.WriteRune(r)
		}
	}
	return b.String()
}
