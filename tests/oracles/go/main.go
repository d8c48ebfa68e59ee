// A log read by Go's own checksum-database packages, which share no code with ours.
//
//	oracle log DIR VKEY            every entry proven in the signed tree, and every smaller tree
//	oracle proof FILE LEAF VKEY    one tlog-proof file
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	var err error
	switch {
	case len(os.Args) == 4 && os.Args[1] == "log":
		err = checkLog(os.Args[2], os.Args[3])
	case len(os.Args) == 5 && os.Args[1] == "proof":
		err = checkProof(os.Args[2], os.Args[3], os.Args[4])
	default:
		err = fmt.Errorf("usage: oracle log DIR VKEY | oracle proof FILE LEAF VKEY")
	}
	if err != nil {
		fmt.Println("refused:", err)
		os.Exit(1)
	}
}

func head(signed []byte, vkey string) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("no checkpoint of %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	hash, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: hash}, err
}

// tiles reads the files of a log; TileHashReader checks what they hold against the signed tree.
type tiles struct{ dir string }

func (t tiles) Height() int                     { return 8 }
func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (t tiles) path(tile tlog.Tile, kind string) string {
	parts := strings.Split(tile.Path(), "/") // tile/8/<level>/…
	return filepath.Join(append([]string{t.dir, "tile", kind}, parts[3:]...)...)
}

func (t tiles) ReadTiles(asked []tlog.Tile) ([][]byte, error) {
	var data [][]byte
	for _, tile := range asked {
		read, err := os.ReadFile(t.path(tile, strconv.Itoa(tile.L)))
		if err != nil {
			return nil, err
		}
		data = append(data, read)
	}
	return data, nil
}

func (t tiles) entries(size int64) ([][]byte, error) {
	var entries [][]byte
	for n := int64(0); n*256 < size; n++ {
		width := int(min(256, size-n*256))
		bundle, err := os.ReadFile(t.path(tlog.Tile{H: 8, L: 0, N: n, W: width}, "entries"))
		if err != nil {
			return nil, err
		}
		for len(bundle) > 0 {
			if len(bundle) < 2 || len(bundle)-2 < int(binary.BigEndian.Uint16(bundle)) {
				return nil, fmt.Errorf("bundle %d is cut", n)
			}
			end := 2 + int(binary.BigEndian.Uint16(bundle))
			entries = append(entries, bundle[2:end])
			bundle = bundle[end:]
		}
	}
	if int64(len(entries)) != size {
		return nil, fmt.Errorf("%d entries of %d", len(entries), size)
	}
	return entries, nil
}

func checkLog(dir, vkey string) error {
	signed, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return err
	}
	tree, err := head(signed, vkey)
	if err != nil {
		return err
	}
	files := tiles{dir}
	entries, err := files.entries(tree.N)
	if err != nil {
		return err
	}
	hashes := tlog.TileHashReader(tree, files)
	root, err := tlog.TreeHash(tree.N, hashes)
	if err != nil || root != tree.Hash {
		return fmt.Errorf("the tiles give another root: %v", err)
	}
	for index, entry := range entries {
		proof, err := tlog.ProveRecord(tree.N, int64(index), hashes)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, int64(index), tlog.RecordHash(entry)); err != nil {
			return fmt.Errorf("entry %d: %w", index, err)
		}
	}
	for size := int64(1); size <= tree.N; size += 1 + tree.N/97 {
		before, err := tlog.TreeHash(size, hashes)
		if err != nil {
			return err
		}
		proof, err := tlog.ProveTree(tree.N, size, hashes)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, size, before); err != nil {
			return fmt.Errorf("tree of %d: %w", size, err)
		}
	}
	fmt.Println("accepted:", tree.N)
	return nil
}

func checkProof(file, leaf, vkey string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	entry, err := os.ReadFile(leaf)
	if err != nil {
		return err
	}
	lines, signed, found := bytes.Cut(data, []byte("\n\n"))
	if !found {
		return fmt.Errorf("no checkpoint")
	}
	var index int64
	var proof tlog.RecordProof
	for number, line := range strings.Split(string(lines), "\n") {
		switch {
		case number == 0 && line == "c2sp.org/tlog-proof@v1", strings.HasPrefix(line, "extra "):
		case strings.HasPrefix(line, "index "):
			if index, err = strconv.ParseInt(strings.TrimPrefix(line, "index "), 10, 64); err != nil {
				return err
			}
		default:
			raw, err := base64.StdEncoding.DecodeString(line)
			if err != nil || len(raw) != tlog.HashSize {
				return fmt.Errorf("line %d is no hash", number+1)
			}
			proof = append(proof, tlog.Hash(raw))
		}
	}
	tree, err := head(signed, vkey)
	if err != nil {
		return err
	}
	if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)); err != nil {
		return err
	}
	fmt.Println("accepted:", index)
	return nil
}
