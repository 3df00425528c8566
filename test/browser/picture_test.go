package browser

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// mostPicture is how large a picture of the README may be, in bytes.
const mostPicture = 60 << 10

// TestPicture makes the README's pictures: the list of secrets, light and dark. They go to docs/images where
// STRONGROOM_PICTURE is set (make picture), and elsewhere otherwise.
func TestPicture(t *testing.T) {
	s := startServer(t)
	b := openTab(t, s)
	b.wear("light", 1280)
	org := b.setUp()
	b.importNames(org, []string{"backup/s3-access-key", "backup/s3-secret-key", "grafana/admin-password",
		"grafana/smtp-password", "pager/routing-key", "postgres/password", "postgres/replication-password",
		"slack/webhook", "telegraf/mqtt-password", "tls/wildcard-key"})
	day := func(n int) string { return time.Now().AddDate(0, 0, n).UTC().Format(time.DateOnly) }
	for key, date := range map[string]string{"pager/routing-key": day(-3), "slack/webhook": day(12),
		"postgres/password": day(80), "tls/wildcard-key": day(200)} {
		b.open(org + "/secret?key=" + strings.ReplaceAll(key, "/", "%2F"))
		b.click("#about summary")
		js[bool](b, fmt.Sprintf("document.querySelector('#expires').value = %q; true", date))
		b.click("#about form .button")
		b.see("is saved")
	}
	folder := t.TempDir()
	if os.Getenv("STRONGROOM_PICTURE") != "" {
		folder = "../../docs/images"
		check(t, os.MkdirAll(folder, 0o755))
	}
	b.open(org + "/secrets")
	b.see("2 due within 30 days")
	for _, theme := range themes {
		b.wear(theme, 1280)
		b.run(chromedp.EmulateViewport(1280, 800))
		shot, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		check(t, err)
		small, err := fewColours(shot)
		check(t, err)
		if len(small) > mostPicture {
			t.Errorf("the picture in the %s theme has %d bytes, more than %d", theme, len(small), mostPicture)
		}
		check(t, os.WriteFile(filepath.Join(folder, "secrets-"+theme+".png"), small, 0o644))
	}
}

// fewColours is the picture with the 64 colours that most of it has; each of the others is shown as the nearest of them.
func fewColours(shot []byte) ([]byte, error) {
	whole, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		return nil, err
	}
	counts := make(map[color.Color]int)
	size := whole.Bounds()
	for y := size.Min.Y; y < size.Max.Y; y++ {
		for x := size.Min.X; x < size.Max.X; x++ {
			counts[color.RGBAModel.Convert(whole.At(x, y))]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int { return counts[b] - counts[a] })
	few := image.NewPaletted(size, colours[:min(64, len(colours))])
	draw.Draw(few, size, whole, size.Min, draw.Src)
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, few)
	return out.Bytes(), err
}
