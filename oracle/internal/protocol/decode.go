package protocol

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Decode reads a JSON value into v, a pointer, and is strict: a field that v doesn't have, one that is given twice
// and a value of the wrong type are errors that name the path. Field names are those of the json tags, in their
// exact case. A type with an UnmarshalJSON of its own reads itself; json.RawMessage takes anything.
func Decode(raw json.RawMessage, v any) error {
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = json.RawMessage("{}")
	}
	return decode(raw, reflect.ValueOf(v).Elem(), "")
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

func decode(raw json.RawMessage, v reflect.Value, path string) error {
	raw = bytes.TrimSpace(raw)
	if v.Kind() == reflect.Pointer {
		if string(raw) == "null" {
			v.SetZero()
			return nil
		}
		v.Set(reflect.New(v.Type().Elem()))
		return decode(raw, v.Elem(), path)
	}
	if reflect.PointerTo(v.Type()).Implements(unmarshaler) {
		if err := json.Unmarshal(raw, v.Addr().Interface()); err != nil {
			return Errorf(Invalid, "%s: %s", name(path), err)
		}
		return nil
	}
	switch v.Kind() {
	case reflect.Struct:
		return decodeStruct(raw, v, path)
	case reflect.Map:
		if string(raw) == "null" {
			return nil
		}
		keys, values, err := object(raw, path)
		if err != nil {
			return err
		}
		m := reflect.MakeMapWithSize(v.Type(), len(keys))
		for i, k := range keys {
			e := reflect.New(v.Type().Elem()).Elem()
			if err := decode(values[i], e, join(path, k)); err != nil {
				return err
			}
			m.SetMapIndex(reflect.ValueOf(k).Convert(v.Type().Key()), e)
		}
		v.Set(m)
		return nil
	case reflect.Slice:
		var l []json.RawMessage
		if err := json.Unmarshal(raw, &l); err != nil {
			return Errorf(Invalid, "%s: a list is expected, not %s", name(path), short(raw))
		}
		s := reflect.MakeSlice(v.Type(), len(l), len(l))
		for i := range l {
			if err := decode(l[i], s.Index(i), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
		v.Set(s)
		return nil
	}
	if err := json.Unmarshal(raw, v.Addr().Interface()); err != nil {
		return Errorf(Invalid, "%s: %s is expected, not %s", name(path), expected(v.Type()), short(raw))
	}
	return nil
}

func decodeStruct(raw json.RawMessage, v reflect.Value, path string) error {
	if string(raw) == "null" {
		return nil
	}
	keys, values, err := object(raw, path)
	if err != nil {
		return err
	}
	fields := map[string]reflect.Value{}
	var names []string
	for i := range v.NumField() {
		n, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if n != "" && n != "-" {
			fields[n] = v.Field(i)
			names = append(names, n)
		}
	}
	for i, k := range keys {
		f, ok := fields[k]
		if !ok {
			where := ""
			if path != "" {
				where = " in " + path
			}
			return Errorf(UnknownField, "unknown field %q%s%s", join(path, k), where, suggestion(k, names))
		}
		if err := decode(values[i], f, join(path, k)); err != nil {
			return err
		}
	}
	return nil
}

// object splits a JSON object, in its order.
func object(raw json.RawMessage, path string) (keys []string, values []json.RawMessage, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, nil, Errorf(Invalid, "%s: an object is expected, not %s", name(path), short(raw))
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, nil, Errorf(NotJSON, "%s: %s", name(path), err)
		}
		k, _ := t.(string)
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, nil, Errorf(NotJSON, "%s: %s", name(join(path, k)), err)
		}
		if seen[k] {
			return nil, nil, Errorf(Invalid, "%s: the field is given twice", join(path, k))
		}
		seen[k] = true
		keys, values = append(keys, k), append(values, v)
	}
	return keys, values, nil
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func name(path string) string {
	if path == "" {
		return "the request"
	}
	return path
}

func expected(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return fmt.Sprintf("a whole number of %d bits", t.Bits())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return fmt.Sprintf("a whole number of %d bits, not negative", t.Bits())
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return t.String()
}

// short is a value as messages show it.
func short(raw json.RawMessage) string {
	if s := []rune(string(raw)); len(s) > 60 {
		return string(s[:57]) + "..."
	}
	return string(raw)
}

// suggestion names what is close to a misspelt name.
func suggestion(name string, known []string) string {
	best, at := "", 1+max(len(name)/3, 1)
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < at {
			best, at = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(": did you mean %q?", best)
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
