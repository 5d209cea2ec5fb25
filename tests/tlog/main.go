// Reads a whole C2SP tiled log over HTTP and verifies it with golang.org/x/mod/sumdb: the signature of the checkpoint, every
// entry against its leaf hash, every tile against the root, and consistency with an older checkpoint where one is given.
//
//	tlogclient URL VERIFIER_KEY [OLDER_CHECKPOINT_FILE]     (API key in TLOG_KEY)
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

type server struct{ url, key string }

func (s server) get(path string) []byte {
	request, err := http.NewRequest("GET", s.url+path, nil)
	check(err)
	if s.key != "" {
		request.Header.Set("Authorization", "Bearer "+s.key)
	}
	answer, err := http.DefaultClient.Do(request)
	check(err)
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	check(err)
	if answer.StatusCode != 200 {
		fail("%s: %s: %s", path, answer.Status, raw)
	}
	return raw
}

// Height, ReadTiles and SaveTiles make the server a tlog.TileReader.
func (s server) Height() int { return height }

func (s server) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, len(tiles))
	for i, tile := range tiles {
		found[i] = s.get(path(strconv.Itoa(tile.L), tile.N, tile.W))
	}
	return found, nil
}

func (s server) SaveTiles([]tlog.Tile, [][]byte) {}

func path(level string, n int64, width int) string {
	elements := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		elements = fmt.Sprintf("x%03d/%s", n%1000, elements)
	}
	if width < 1<<height {
		elements += fmt.Sprintf(".p/%d", width)
	}
	return "/tile/" + level + "/" + elements
}

// tree opens a signed checkpoint: origin, size, root.
func tree(raw []byte, verifier note.Verifier) tlog.Tree {
	opened, err := note.Open(raw, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		fail("not a checkpoint of %s: %q", verifier.Name(), opened.Text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := base64.StdEncoding.DecodeString(lines[2])
	check(err)
	var hash tlog.Hash
	copy(hash[:], root)
	return tlog.Tree{N: size, Hash: hash}
}

func main() {
	s := server{os.Args[1], os.Getenv("TLOG_KEY")}
	verifier, err := note.NewVerifier(os.Args[2])
	check(err)
	head := tree(s.get("/checkpoint"), verifier)
	reader := tlog.TileHashReader(head, s) // verifies each tile it reads against the root
	for start := int64(0); start < head.N; start += 1 << height {
		width := min(head.N-start, 1<<height)
		bundle := s.get(path("entries", start>>height, int(width)))
		indexes, leaves := []int64{}, []tlog.Hash{}
		for i := range width {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				fail("bundle of entry %d is cut off", start+i)
			}
			size := 2 + int(binary.BigEndian.Uint16(bundle))
			leaves = append(leaves, tlog.RecordHash(bundle[2:size]))
			indexes = append(indexes, tlog.StoredHashIndex(0, start+i))
			bundle = bundle[size:]
		}
		if len(bundle) != 0 {
			fail("something stands behind entry %d", start+width-1)
		}
		hashes, err := reader.ReadHashes(indexes)
		check(err)
		for i, hash := range hashes {
			if hash != leaves[i] {
				fail("entry %d is not the one in the tree", start+int64(i))
			}
		}
	}
	fmt.Printf("verified %d entries", head.N)
	if len(os.Args) > 3 {
		raw, err := os.ReadFile(os.Args[3])
		check(err)
		older := tree(raw, verifier)
		proof, err := tlog.ProveTree(head.N, older.N, reader)
		check(err)
		check(tlog.CheckTree(proof, head.N, head.Hash, older.N, older.Hash))
		fmt.Printf(", consistent with the %d of before", older.N)
	}
	fmt.Println()
}

func check(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "NOT VERIFIED: "+format+"\n", values...)
	os.Exit(1)
}
