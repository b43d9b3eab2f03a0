// Collects the licence of every package that ends up in the bundle, from the
// page and from the workers, and writes them all to one file.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

const LICENSE_FILE = /^(licen[cs]e|copying|notice|thirdpartynotices)/i;

// The directory of the package that a module belongs to.
function packageDir(id) {
  const path = id.replace(/^\0/, '').split('?')[0];
  if (!path.includes('/node_modules/')) {
    return null;
  }
  let dir = dirname(path);
  while (dir.includes('/node_modules/')) {
    const manifest = join(dir, 'package.json');
    if (existsSync(manifest)) {
      const { name, version } = JSON.parse(readFileSync(manifest, 'utf8'));
      if (name && version) {
        return dir;
      }
    }
    dir = dirname(dir);
  }
  return null;
}

function entry(dir) {
  const manifest = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'));
  const texts = readdirSync(dir)
    .filter((name) => LICENSE_FILE.test(name))
    .sort()
    .map((name) => readFileSync(join(dir, name), 'utf8').trim());
  const head = `${manifest.name} ${manifest.version}`;
  const license = manifest.license?.type ?? manifest.license ?? 'see below';
  const author = manifest.author?.name ?? manifest.author;
  const lines = [head, '-'.repeat(head.length), `Licence: ${license}`];
  if (texts.length === 0 && author) {
    lines.push(`Author: ${author}`);
  }
  return { head, text: [...lines, '', ...texts].join('\n') };
}

export function collectLicenses(fileName) {
  const dirs = new Set();
  const collect = (bundle) => {
    for (const chunk of Object.values(bundle)) {
      for (const id of chunk.type === 'chunk' ? Object.keys(chunk.modules) : []) {
        const dir = packageDir(id);
        if (dir) {
          dirs.add(dir);
        }
      }
    }
  };
  return {
    worker: {
      name: 'sluice-licenses-worker',
      generateBundle(_options, bundle) {
        collect(bundle);
      },
    },
    main: {
      name: 'sluice-licenses',
      generateBundle(_options, bundle) {
        collect(bundle);
        const entries = new Map();
        for (const dir of dirs) {
          const { head, text } = entry(dir);
          entries.set(head, text);
        }
        const source = [
          'The GraphiQL page of Sluice contains code from the following packages.',
          ...[...entries.keys()].sort().map((head) => entries.get(head)),
        ].join('\n\n\n');
        this.emitFile({ type: 'asset', fileName, source: `${source}\n` });
      },
    },
  };
}
