//go:build race

package influxd

const raceDetector = true
