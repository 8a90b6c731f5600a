// Packs PNG files into one Windows icon: a 6-byte header, 16 bytes per image,
// then the PNGs as they are (understood since Windows Vista).
//
//   node ico.mjs OUT.ico IN.png …
import { readFileSync, writeFileSync } from 'node:fs'

const [out, ...inputs] = process.argv.slice(2)
const images = inputs.map((name) => readFileSync(name))

const header = Buffer.alloc(6 + 16 * images.length)
header.writeUInt16LE(1, 2) // an icon, not a cursor
header.writeUInt16LE(images.length, 4)

let offset = header.length
images.forEach((png, i) => {
  const entry = 6 + 16 * i
  header.writeUInt8(png.readUInt32BE(16) % 256, entry) // width; 256 is written as 0
  header.writeUInt8(png.readUInt32BE(20) % 256, entry + 1)
  header.writeUInt16LE(1, entry + 4) // colour planes
  header.writeUInt16LE(32, entry + 6) // bits per pixel
  header.writeUInt32LE(png.length, entry + 8)
  header.writeUInt32LE(offset, entry + 12)
  offset += png.length
})
writeFileSync(out, Buffer.concat([header, ...images]))
