package queue

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
)

const (
	// packFrom is the size, in bytes, from which an item is packed: SQS bills a
	// message by 64 KB, so packing a small one saves nothing.
	packFrom = 16 << 10
	// maxText bounds an item that is unpacked. A webhook's body has 6 MB at
	// most, and its JSON here a few times that.
	maxText = 64 << 20
)

// Encode writes an item as text that SQS takes: JSON, or base64 of the JSON
// gzipped if that is shorter.
func (it Item) Encode() ([]byte, error) {
	it.Version = Version
	text, err := json.Marshal(it)
	if err != nil {
		return nil, fmt.Errorf("encoding the %s: %w", it.Subject(), err)
	}
	plain := sendable(text)
	if plain && len(text) < packFrom {
		return text, nil
	}
	if packed := pack(text); !plain || len(packed) < len(text) {
		return packed, nil
	}
	return text, nil
}

// sendable reports whether SQS takes text as it is. It refuses U+FFFE and
// U+FFFF, and JSON escapes every other character that it refuses.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
func sendable(text []byte) bool {
	return !bytes.Contains(text, []byte("\ufffe")) && !bytes.Contains(text, []byte("\uffff"))
}

func pack(text []byte) []byte {
	var packed bytes.Buffer
	encoder := base64.NewEncoder(base64.StdEncoding, &packed)
	// The fastest level: a delivery that puts something off is short of time. The
	// errors are of the level, which is known, and of the writer, which is a buffer.
	z, _ := gzip.NewWriterLevel(encoder, gzip.BestSpeed)
	_, _ = z.Write(text)
	_ = z.Close()
	_ = encoder.Close()
	return packed.Bytes()
}

func unpack(packed []byte) ([]byte, error) {
	z, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(packed)))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(z, maxText+1))
	if len(text) > maxText {
		return nil, fmt.Errorf("it is over %d bytes unpacked", maxText)
	}
	return text, err
}

// Decode reads what [Item.Encode] wrote. An item of a newer release answers
// [ErrNewer]; anything else that is no item answers an error that quotes it.
func Decode(text []byte) (Item, error) {
	plain := text
	if !bytes.HasPrefix(text, []byte("{")) {
		var err error
		if plain, err = unpack(text); err != nil {
			return Item{}, fmt.Errorf("unpacking the item %.40q: %w", text, err)
		}
	}
	// The version first: a newer form may have other types.
	var head struct {
		Version int `json:"v"`
	}
	if err := json.Unmarshal(plain, &head); err != nil {
		return Item{}, fmt.Errorf("decoding the item %.40q: %w", plain, err)
	}
	switch {
	case head.Version > Version:
		return Item{}, fmt.Errorf("item of version %d, this release reads %d: %w", head.Version, Version, ErrNewer)
	case head.Version < 1:
		return Item{}, fmt.Errorf("decoding the item %.40q: it has no version", plain)
	}
	var it Item
	if err := json.Unmarshal(plain, &it); err != nil {
		return Item{}, fmt.Errorf("decoding the item %.40q: %w", plain, err)
	}
	return it, nil
}
