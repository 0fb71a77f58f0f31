package policy

import "errors"

// deviceCondition is `device unknown|private`. A public device is unknown.
type deviceCondition struct{ private bool }

var errNoDevice = errors.New("policy: the device is not known")

func compileDevice(c ConditionConfig) (Condition, error) {
	word := ""
	if len(c.Args) == 1 {
		word = c.Args[0]
	}
	switch Device(word) {
	case DevicePrivate:
		return deviceCondition{private: true}, nil
	case DeviceUnknown:
		return deviceCondition{}, nil
	case DevicePublic:
		return nil, errors.New("a public device counts as unknown; write `device unknown`")
	default:
		return nil, errors.New("expected `device unknown` or `device private`")
	}
}

func (d deviceCondition) Holds(r *Request) (bool, error) {
	switch r.Device {
	case DevicePrivate:
		return d.private, nil
	case DeviceUnknown, DevicePublic:
		return !d.private, nil
	default:
		return false, errNoDevice
	}
}

func (d deviceCondition) Reason() string { return ReasonDevice }
