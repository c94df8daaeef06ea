import { unreadable } from './defects.js'

/** Keeps the byte order mark, which readDescriptors removes. */
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const REPLACEMENT = Buffer.from('\uFFFD')

/**
 * The text of a descriptor. Any encoding but UTF-8 is refused: invalid bytes would be replaced, and the service would
 * run with other values than its user wrote.
 * @throws ApiError `descriptor_unreadable`, with the position of the first byte that is not UTF-8
 */
export function decodeUtf8 (bytes: Buffer): string {
  try {
    return strict.decode(bytes)
  } catch {
    const text = bytes.toString('utf8')
    throw unreadable({ text, documents: [] }, [{
      offset: firstReplaced(text, bytes),
      message: 'expected UTF-8, got bytes of another encoding',
      hint: isUtf16(bytes) ? 'The file is UTF-16: save it as UTF-8.' : 'Save the file as UTF-8.'
    }])
  }
}

/** Offset of the first replacement character that the lenient decoder inserted, as opposed to one in the bytes. */
function firstReplaced (text: string, bytes: Buffer): number {
  let offset = 0
  let position = 0
  for (;;) {
    const next = text.indexOf('\uFFFD', offset)
    position += Buffer.byteLength(text.slice(offset, next))
    if (!bytes.subarray(position, position + REPLACEMENT.length).equals(REPLACEMENT)) return next
    position += REPLACEMENT.length
    offset = next + 1
  }
}

/** Whether the bytes begin with the byte order mark of UTF-16, in either order. */
function isUtf16 (bytes: Buffer): boolean {
  const mark = bytes.length < 2 ? 0 : bytes.readUInt16BE(0)
  return mark === 0xFEFF || mark === 0xFFFE
}
