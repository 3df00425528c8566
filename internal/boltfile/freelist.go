package boltfile

import (
	"encoding/binary"
	"fmt"
)

// FreelistSize is the length in bytes of the pages that hold the list of free pages; 0 where the list is not kept.
func (f *File) FreelistSize() (int64, error) {
	if f.meta.Freelist == noFreelist {
		return 0, nil
	}
	var header [headerLen]byte
	if _, err := f.r.ReadAt(header[:], int64(f.meta.Freelist)*int64(f.meta.PageSize)); err != nil {
		return 0, fmt.Errorf("reading page %d: %w", f.meta.Freelist, err)
	}
	return (int64(binary.LittleEndian.Uint32(header[12:])) + 1) * int64(f.meta.PageSize), nil
}

// freelist looks for pages that are in use and listed as free: the next write would go over them. bbolt ends where the
// list is not in order.
func (f *File) freelist(v Visitor) error {
	page := f.meta.Freelist
	damaged := func(why string) error {
		v.Damaged(nil, Damage{page, why})
		return nil
	}
	switch {
	case page == noFreelist:
		return nil
	case page < 2 || page >= f.meta.Pages || f.seen.has(page):
		return damaged("it cannot be the list of free pages")
	}
	raw, why, err := f.read(page)
	if err != nil {
		return err
	}
	if why != "" || binary.LittleEndian.Uint16(raw[8:]) != freelistPage {
		return damaged("the list of free pages cannot be read")
	}
	n, list := uint64(binary.LittleEndian.Uint16(raw[10:])), raw[headerLen:]
	if n == longList {
		n, list = binary.LittleEndian.Uint64(list), list[8:]
	}
	if n > uint64(len(list)/8) {
		return damaged("the list of free pages is longer than its page")
	}
	var before uint64
	for i := range n {
		free := binary.LittleEndian.Uint64(list[i*8:])
		switch {
		case free < 2 || free >= f.meta.Pages || f.seen.has(free):
			v.Damaged(nil, Damage{free, "it is listed as free, and is in use or not there"})
		case free <= before:
			v.Damaged(nil, Damage{page, "the list of free pages is out of order"})
		}
		before = free
	}
	return nil
}
