import { Composer, CST, isScalar, Lexer, Parser, type Document, type ErrorCode, type ParsedNode } from 'yaml'
import { MAX_SERVICES } from '../schemas/descriptor.js'
import { ApiError } from '../schemas/errors.js'
import { unreadable, type Defect } from './defects.js'
import { MAX_VIOLATIONS, type Source } from './positions.js'

/** Deepest nesting of mappings and lists. The mapping of the descriptor is level 1. */
export const MAX_DEPTH = 32

/**
 * Most tokens (words, marks, line breaks) in a descriptor. A field on its own line takes about seven, so thousands of
 * environment variables fit. A megabyte of commas has a million and would block the event loop for ten seconds.
 */
const MAX_TOKENS = 50_000

/**
 * So many tokens need no text; each further one needs a character in a word. Parsing costs by the token, so a text that
 * is nothing but marks has to be small.
 */
const FREE_TOKENS = 4000

/** What a word has and a mark has not. */
const LETTER = /[\p{L}\p{N}]/u

/** Besides the open collections, the parser's stack holds the document and the current scalar. */
const MAX_STACK = MAX_DEPTH + 2

/**
 * Control characters, which YAML allows only in escaped form. The lexer uses some of them as its own marks, so they
 * must not reach it from outside.
 */
const CONTROL = /[^\P{Cc}\t\n\r\x7f-\x9f]/u

/** A backslash in double quotes. Group 1 is what follows it if that is a valid escape. */
const ESCAPE = /\\([0abefnrtvN_LP "/\\\t]|\r?\n|x[\da-fA-F]{2}|u[\da-fA-F]{4}|U(?:000[\da-fA-F]|0010)[\da-fA-F]{4})?/g

/** Advice for complaints of the parser, where the message is not enough. */
const hints: Partial<Record<ErrorCode, string>> = {
  TAB_AS_INDENT: 'Indent with spaces, not with tabs.',
  BAD_INDENT: 'Check the indentation, and that each bracket and brace is closed.',
  BLOCK_AS_IMPLICIT_KEY: 'Check the indentation, and put quotes around a value that contains ": ".',
  MULTILINE_IMPLICIT_KEY: 'Check the indentation, and that each line has a ":" after its key.',
  BAD_SCALAR_START: 'Put quotes around the value.',
  NON_STRING_KEY: 'Put quotes around a value that begins with "{" or "[".',
  TAG_RESOLVE_FAILED: 'Remove the tag: a descriptor has only strings, numbers, true, false, lists and mappings.'
}

/** A document that is not empty. */
export type FilledDocument = Document.Parsed<ParsedNode> & { contents: ParsedNode }

/**
 * Parses YAML 1.2 documents (core schema, of which JSON is a subset) in linear time. Empty documents, as after a last
 * `---`, are left out.
 *
 * @throws ApiError `descriptor_missing` or `descriptor_unreadable`
 */
export function parseYaml (text: string): { source: Source, documents: FilledDocument[] } {
  const control = CONTROL.exec(text)
  if (control) {
    const code = control[0].charCodeAt(0).toString(16).padStart(2, '0')
    throw unreadable({ text, documents: [] }, [{
      offset: control.index,
      message: `the control character \\x${code} is not allowed in YAML or JSON`
    }])
  }
  const tokens = syntaxTree(text)
  const composer = new Composer<ParsedNode>({
    schema: 'core',
    merge: false,
    resolveKnownTags: false,
    stringKeys: true,
    // plain.ts checks this: the parser would compare every key with every other.
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'silent'
  })
  const documents = [...composer.compose(tokens)]
  const source = { text, documents: documents.map(({ range: [start] }) => start) }
  const complaints = documents.flatMap(({ errors, warnings }) => [...errors, ...warnings])
  if (complaints.length > 0) {
    const defects = complaints.slice(0, MAX_VIOLATIONS)
      .map(({ pos, code, message }) => ({ offset: pos[0], message: reworded(code, message), hint: hints[code] }))
    throw unreadable(source, defects, complaints.length)
  }
  const filled = documents.filter(isFilled)
  if (filled.length === 0) throw new ApiError('descriptor_missing', 'The deployment descriptor is empty')
  return { source, documents: filled }
}

/** Syntax tokens of a stream of documents, within the limits on tokens, nesting and documents. */
function syntaxTree (text: string): CST.Token[] {
  const parser = new Parser()
  const tokens: CST.Token[] = []
  let count = 0
  let meaning = 0
  let documents = 0
  let strays = 0
  let previous = ''
  for (const lexeme of new Lexer().lex(text)) {
    if (++count > MAX_TOKENS) refuse(`more than ${MAX_TOKENS} words and marks are too many for a descriptor`)
    if (LETTER.test(lexeme)) meaning += lexeme.trim().length
    if (count > FREE_TOKENS + meaning) refuse('so many marks with so little text between them are no descriptor')
    // The text of plain and block scalars follows a mark. Without one, a quote begins a quoted scalar.
    if (lexeme.startsWith('"') && previous !== CST.SCALAR) checkEscapes(lexeme)
    previous = lexeme
    for (const token of parser.next(lexeme)) take(token)
    if (parser.stack.length > MAX_STACK) refuse(`more than ${MAX_DEPTH} levels of nesting are too deep`)
  }
  for (const token of parser.end()) take(token)
  return tokens

  function take (token: CST.Token): void {
    if (token.type === 'directive' && /^%YAML\s+(?!1\.2\b)/.test(token.source)) {
      refuse(
        `expected YAML 1.2, got ${token.source}`,
        token.offset,
        'Remove the %YAML line. In YAML 1.2, "yes" and "no" are strings: write true and false.'
      )
    }
    if (token.type === 'document' && ++documents > MAX_SERVICES) {
      refuse(`expected at most ${MAX_SERVICES} documents, got one more`, token.offset, 'Deploy them in several files.')
    }
    // After the end of the document, each stray token is an error: the first ones are enough.
    if (token.type !== 'error' || ++strays <= MAX_VIOLATIONS) tokens.push(token)
  }

  /** Refuses the first bad escape. The parser would report each of them, up to half a million in one string. */
  function checkEscapes (quoted: string): void {
    for (const { 1: valid, index } of quoted.matchAll(ESCAPE)) {
      if (valid !== undefined) continue
      const hint = 'Write a backslash twice, or use single quotes, in which it has no meaning.'
      refuse(`the escape ${quoted.slice(index, index + 2)} is not known`, parser.offset + index, hint)
    }
  }

  function refuse (message: string, offset = parser.offset, hint?: string): never {
    const defect: Defect = { offset, message, hint }
    throw unreadable({ text, documents: [] }, [defect])
  }
}

function reworded (code: ErrorCode, message: string): string {
  if (code === 'NON_STRING_KEY') return 'a key must be plain text, not a list, a mapping or an alias'
  if (code === 'BLOCK_AS_IMPLICIT_KEY') return 'a list or a mapping cannot begin here, in the middle of a value'
  if (code === 'TAG_RESOLVE_FAILED') {
    return message.replace(/^Unresolved tag: (.*)$/s, 'the tag $1 is not supported').replace(
      'tag:yaml.org,2002:',
      '!!'
    )
  }
  return message.charAt(0).toLowerCase() + message.slice(1)
}

function isFilled (document: Document.Parsed<ParsedNode>): document is FilledDocument {
  const { contents } = document
  return contents !== null && !(isScalar(contents) && contents.value === null)
}
