//go:build !race

package influxd

const raceDetector = false
