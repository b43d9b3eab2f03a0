// Replaces every file of the build, except index.html, by its gzip form.
// Node's gzip header carries no time and no name, so the result depends on
// the content alone.
import { readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { constants, gzipSync } from 'node:zlib';

const dist = fileURLToPath(new URL('../dist', import.meta.url));
const files = readdirSync(dist, { recursive: true })
  .filter((name) => statSync(join(dist, name)).isFile())
  .sort();

let total = 0;
for (const name of files) {
  const path = join(dist, name);
  if (name !== 'index.html' && !name.endsWith('.gz')) {
    const gz = gzipSync(readFileSync(path), { level: constants.Z_BEST_COMPRESSION });
    gz[9] = 255; // the operating system field: unknown, so that it is the same everywhere
    writeFileSync(`${path}.gz`, gz);
    rmSync(path);
    total += gz.length;
  } else {
    total += statSync(path).size;
  }
}
console.log(`dist: ${files.length} files, ${(total / 1024).toFixed(0)} KiB`);
