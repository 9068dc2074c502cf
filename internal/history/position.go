package history

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
)

// WaitingID names the record of alerts that wait for a run. The record becomes
// [Expired] under the same ID. Where the run begins, it is written once more
// with Ended set, and lists show the run alone.
func WaitingID(entry string, fingerprints ...string) string {
	return noRunID("w", entry, "", fingerprints)
}

// RefusedID names the record of alerts whose run was refused. The same refusal
// of a later notification has the same ID, and overwrites the record.
func RefusedID(entry, reason string, fingerprints ...string) string {
	return noRunID("r", entry, reason, fingerprints)
}

func noRunID(prefix, entry, reason string, fingerprints []string) string {
	fingerprints = slices.Compact(slices.Sorted(slices.Values(fingerprints)))
	text, _ := json.Marshal([]any{entry, reason, fingerprints}) // strings cannot fail
	sum := sha256.Sum256(text)
	return prefix + hex.EncodeToString(sum[:10])
}

// crockford is the alphabet of run IDs (ULID), in the order of its values.
// https://github.com/ulid/spec
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

const (
	lenID   = 26 // a run ID's characters
	lenTime = 10 // of them, those of its time in milliseconds
)

// IsRun says that an ID is a run's, not that of alerts without a run.
func IsRun(id string) bool {
	_, err := timeOf(id)
	return err == nil && len(id) == lenID
}

// Position sorts records by time: a run by its ID, which begins with the time of
// its claim, and alerts without a run by when their record was last written.
func (r *Record) Position() string {
	if IsRun(r.Run) {
		return r.Run
	}
	return timePart(r.Updated) + r.Run
}

// Day is the day in UTC of a position, such as 2026-11-28. It returns an error
// for text that is no position, such as a cursor that somebody made up.
func Day(position string) (time.Time, error) {
	t, err := timeOf(position)
	if err != nil {
		return time.Time{}, err
	}
	return t.Truncate(24 * time.Hour), nil
}

// DayForm is the layout of a day in an index.
const DayForm = time.DateOnly

// After is the least position of records that are not older than t.
func After(t time.Time) string { return timePart(t) }

func timePart(t time.Time) string {
	ms := uint64(max(0, t.UnixMilli()))
	var out [lenTime]byte
	for i := lenTime - 1; i >= 0; i-- {
		out[i] = crockford[ms&31]
		ms >>= 5
	}
	return string(out[:])
}

var errPosition = errors.New("no time in it")

func timeOf(position string) (time.Time, error) {
	if len(position) < lenTime {
		return time.Time{}, errPosition
	}
	var ms uint64
	for _, c := range []byte(position[:lenTime]) {
		i := strings.IndexByte(crockford, c)
		if i < 0 {
			return time.Time{}, errPosition
		}
		ms = ms<<5 | uint64(i)
	}
	if ms >= 1<<48 {
		return time.Time{}, errPosition
	}
	return time.UnixMilli(int64(ms)).UTC(), nil
}
