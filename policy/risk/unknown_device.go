package risk

// unknownDevice is a browser in which this account has proved no second factor
// within the life of a device. By itself it is medium risk.
var unknownDevice = signal{
	name: "unknown_device", weight: 40, text: "no second factor was proved in this browser lately",
	judge: func(f *Facts, _ *Settings) verdict { return when(!f.DeviceKnown) },
}
