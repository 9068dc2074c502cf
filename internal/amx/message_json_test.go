package amx

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// Every field of a message is given a value of its own, so that a new one which
// its JSON does not carry makes this test fail.
func TestAMessageSurvivesItsJSON(t *testing.T) {
	var m Message
	fill(t, reflect.ValueOf(&m).Elem(), new(int))
	m.now = time.Time{} // set while a template is rendered
	text, err := json.Marshal(&m)
	if err != nil {
		t.Fatal(err)
	}
	if m.RoutingKey == "" || strings.Contains(string(text), "routing") {
		t.Errorf("the routing key is a secret, and is in the JSON: %s", text)
	}
	m.RoutingKey = ""
	var got Message
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, m) {
		t.Errorf("got\n%+v, want\n%+v\nfrom %s", got, m, text)
	}
}

func TestAMessageOfNothingSurvivesItsJSON(t *testing.T) {
	var m, got Message
	text, err := json.Marshal(&m)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &got); err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("got %+v, %v from %s", got, err, text)
	}
}

// fill gives v and all that is in it values that differ from one another.
func fill(t *testing.T, v reflect.Value, n *int) {
	t.Helper()
	*n++
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, 5, *n, time.UTC)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(string(rune('a'+*n%26)) + "\uffff<&>\"\n")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint64:
		v.SetUint(uint64(*n))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0), n)
		fill(t, v.Index(1), n)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(t, key, n)
		fill(t, value, n)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for _, f := range v.Fields() {
			if !f.CanSet() {
				f = reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
			}
			fill(t, f, n)
		}
	default:
		t.Fatalf("fill cannot make a %s yet: add it", v.Type())
	}
}
