import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { Database } from './database.js'
import { inspect, isDatabase, rowWithLog } from './inspection.js'
import { logOf, markerOf, type Marker } from './marker.js'

/** What a database says of itself: its marker, and whether a server has it open or has died with it. */
export interface Identity extends Marker {
  running: boolean
}

/** What lies on disk before the database is opened. */
export interface Found {
  file: string
  hasFile: boolean
  /** It has a log of changes beside it. */
  hasLog: boolean
  marker: Marker | undefined
  /**
   * By the file alone, without its log: undefined where that has no identity, or not yet. Where the file alone cannot
   * be read, by both.
   */
  identity: Identity | undefined
}

const SELECT = 'SELECT id, count, running FROM identity'

export function lookAt (file: string, marker: Marker | undefined): Found {
  const hasFile = existsSync(file)
  return {
    file,
    hasFile,
    hasLog: existsSync(logOf(file)),
    marker,
    identity: hasFile ? identityOfFile(file) : undefined
  }
}

/**
 * Checkpoints bring the identity to the file. A kill in the middle of one leaves some pages of before in it, with which
 * it can be read together with its log only, as SQLite does when it opens it.
 */
function identityOfFile (file: string): Identity | undefined {
  try {
    return inspect(file, db => toIdentity(db.prepare(SELECT).get() as Row | undefined))
  } catch {
    // Whatever is wrong shows when it is opened.
    return existsSync(logOf(file)) ? identityWithLog(file) : undefined
  }
}

function identityWithLog (file: string): Identity | undefined {
  try {
    if (!isDatabase(file)) return undefined
    const row = rowWithLog(file, 'identity', ['id', 'count', 'running'])
    if (!row) return undefined
    const [id, count, running] = row as [string, number, number]
    return toIdentity({ id, count, running })
  } catch {
    // As above.
    return undefined
  }
}

interface Row {
  id: string
  count: number
  running: number
}

const toIdentity = (row: Row | undefined): Identity | undefined => row && { ...row, running: row.running !== 0 }

const ADOPT = 'If you know it to be the one to go on with, run: system-manager adopt-database'

/** Why a database must not be used, one sentence and what to do; undefined when nothing is wrong. */
export function refusalOf ({ file, hasFile, hasLog, marker, identity }: Found): string | undefined {
  if (!hasFile) {
    return marker && marker.count > 0
      ? `it is missing, but ${markerOf(file)} shows that it was here. Put it back, or remove ` +
        'the marker to begin with an empty database'
      : undefined
  }
  if (!identity) {
    // Before a marker counts, a checkpoint has brought the identity to the file.
    return marker && marker.count > 0 ? `it is not the one that was here last. ${ADOPT}` : undefined
  }
  if (!marker) return `it is a copy, since ${markerOf(file)} is missing. ${ADOPT}`
  if (marker.id !== identity.id) return `it is not the one that was here last. ${ADOPT}`
  if (identity.count < marker.count) {
    return `it is older than the one that was here last: what was acknowledged since would be lost. ${ADOPT}`
  }
  if (identity.running && !hasLog) {
    return `${logOf(file)} is missing, which has what was acknowledged before it ended. ${ADOPT}`
  }
  return undefined
}

/** The identity in an open database. */
export interface IdentityRow {
  /** As it was when it was opened; undefined for a new database, or one of an earlier version. */
  before: Identity | undefined
  /** Gives it an id. */
  begin (id: string): void
  /** Raises the count; gives what the marker is to say. To be called outside of a transaction. */
  raise (running: boolean): Marker
}

export function openIdentity (db: Database): IdentityRow {
  const select = db.prepare<Row>(SELECT)
  const insert = db.prepare('INSERT OR REPLACE INTO identity (only, id, count, running) VALUES (1, ?, ?, 0)')
  const update = db.prepare<Row>('UPDATE identity SET count = count + 1, running = ? RETURNING id, count, running')
  const before = toIdentity(select.get())
  return {
    before,
    begin: id => {
      insert.run(id, before?.count ?? 0)
    },
    raise (running) {
      const { id, count } = update.get(Number(running))!
      return { id, count }
    }
  }
}

/** The id of a database that has none, or is to be told from the one that it was copied from. */
export const newId = (): string => randomUUID()
