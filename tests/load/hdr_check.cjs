// Run by tools/check-hdr on the folder of its files: what hdr-histogram-js reads from load.hlog must be what
// epulse-load says in load.json and load.hgrm.
'use strict';
const fs = require('node:fs');
const hdr = require('hdr-histogram-js');

const folder = process.argv[2];
const read = (name) => fs.readFileSync(`${folder}/${name}`, 'utf8');
const differences = [];
const expectEqual = (what, ours, theirs) => {
  console.log(`${what.padEnd(24)} ${ours} ${theirs}`);
  if (ours !== theirs) differences.push(what);
};

const all = hdr.build({bitBucketSize: 64, numberOfSignificantValueDigits: 3});
const log = new hdr.HistogramLogReader(read('load.hlog'));
let intervals = 0;
for (let next = log.nextIntervalHistogram(); next; next = log.nextIntervalHistogram()) {
  all.add(next);
  ++intervals;
}
const summary = JSON.parse(read('load.json').trim().split('\n').pop());

console.log(`${''.padEnd(24)} epulse-load hdr-histogram-js (${intervals} intervals)`);
expectEqual('messages', summary.received, all.totalCount);
for (const [name, percentile] of [['p50', 50], ['p90', 90], ['p99', 99], ['p999', 99.9]]) {
  // Ours is never above the largest value that was seen.
  const max = Math.round(summary.max_us * 1000);
  expectEqual(`${name} ns`, Math.round(summary[`${name}_us`] * 1000),
              Math.min(all.getValueAtPercentile(percentile), max));
}
// The text, number by number: rounding of the last digit may differ.
const numbers = (text) => (text.match(/[0-9.]+/g) || []).map(Number);
const ours = read('load.hgrm').split('\n').filter((line) => !line.startsWith('#[Buckets'));
const theirs = all.outputPercentileDistribution(5, 1e6).split('\n')
                   .filter((line) => !line.startsWith('#[Buckets'));
expectEqual('lines of load.hgrm', ours.length, theirs.length);
const unlike = ours.filter((line, k) => {
  const other = numbers(theirs[k] || '');
  const mine = numbers(line);
  return mine.length !== other.length ||
         mine.some((value, i) => Math.abs(value - other[i]) > 0.0011 + 1e-6 * value);
});
expectEqual('lines that differ', unlike.length, 0);
unlike.slice(0, 5).forEach((line) => console.log(line));
if (differences.length !== 0 || intervals < 4) {
  console.error(`check-hdr: not the same: ${differences.join(', ') || 'too few intervals'}`);
  process.exit(1);
}
