// What the phone signs, believes and packs, for tests/quick/test_phone_units.py to compare with the server's own code.
import { readFileSync, writeFileSync } from "node:fs";
import { unpack } from "../../capture/web/catd/unpack";
import { identityIn, oneIdentity } from "../../capture/web/phone/identity";
import { zip } from "../../capture/web/phone/pack";
import { momentWithOffset, newKey, receiptIsRight, signedHeaders } from "../../capture/web/phone/signed";
import { nextNumber } from "../../capture/web/phone/store";

const [, , folder] = process.argv;
const given = JSON.parse(readFileSync(`${folder}/given.json`, "utf8"));
const device = await newKey();
const packed = zip(given.files.map(([name, text]: [string, string]) => ({ name, content: new TextEncoder().encode(text) })));
const bytes = await packed.arrayBuffer();
writeFileSync(`${folder}/packed.zip`, new Uint8Array(bytes));
const told = {
  believed: await Promise.all(given.receipts.map((each: string) => receiptIsRight(each, given.picture, given.key))),
  headers: await signedHeaders({ dispositivo: "movil-1", key: device.key } as never, given.picture, 7),
  key: device.told,
  moment: momentWithOffset(new Date(Date.UTC(2027, 5, 7, 2, 30, 5))),
  odd: [0, Date.UTC(2200, 0, 1)].map((each) => momentWithOffset(new Date(each))),
  identities: given.texts.map(identityIn),
  one: given.sets.map(oneIdentity),
  numbers: given.numbers.map(([all, spent]: [number[], number[]]) => nextNumber(all.map((number) => ({ number })) as never, new Set(spent))),
  unpacked: unpack(bytes)?.map(({ name, content }) => [name, new TextDecoder().decode(content)]),
  rubbish: unpack(new TextEncoder().encode("PK").buffer as ArrayBuffer),
};
console.log(JSON.stringify(told));
