//go:build race

package sealed

const raceDetector = true
