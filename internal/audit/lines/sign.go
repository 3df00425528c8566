package lines

import "hash/maphash"

// Sign stands for what a line may be wanted for: a line may have what a sign stands for if it has all of the sign's
// bits. The signs of several words are put together by "or". It is the superimposed coding of C. S. Roberts,
// "Partial-Match Retrieval via the Method of Superimposed Codes" (Proceedings of the IEEE 67(12), 1979).
type Sign uint64

// Kind is a bit that stands for a kind of line, and is in no word's sign.
const Kind Sign = 1 << 63

// All is the sign of a line that may have any word.
const All = ^Sign(0)

var seed = maphash.MakeSeed()

// Word is the sign of a word: three of 63 bits, so that of lines with one other word one in ten thousand has it too.
func Word(w []byte) Sign {
	h := maphash.Bytes(seed, w)
	return 1<<(h%63) | 1<<(h>>16%63) | 1<<(h>>32%63)
}
