import ts from 'typescript'

/** One small change to a source file that a test should notice. */
export interface Mutant {
  /** Path from the project's folder. */
  file: string
  /** Counted from 1. */
  line: number
  /** Offsets into the file's text: from `start`, up to but without `end`. */
  start: number
  end: number
  /** The text that replaces it. */
  replacement: string
  /** The text that is replaced. */
  original: string
}

const { SyntaxKind } = ts

const OPPOSITES: Partial<Record<ts.SyntaxKind, string>> = {
  [SyntaxKind.LessThanToken]: '>=',
  [SyntaxKind.LessThanEqualsToken]: '>',
  [SyntaxKind.GreaterThanToken]: '<=',
  [SyntaxKind.GreaterThanEqualsToken]: '<',
  [SyntaxKind.EqualsEqualsEqualsToken]: '!==',
  [SyntaxKind.ExclamationEqualsEqualsToken]: '==='
}

const MOVED_BOUNDS: Partial<Record<ts.SyntaxKind, string>> = {
  [SyntaxKind.LessThanToken]: '<=',
  [SyntaxKind.LessThanEqualsToken]: '<',
  [SyntaxKind.GreaterThanToken]: '>=',
  [SyntaxKind.GreaterThanEqualsToken]: '>'
}

const ARITHMETIC: Partial<Record<ts.SyntaxKind, string>> = {
  [SyntaxKind.PlusToken]: '-',
  [SyntaxKind.MinusToken]: '+',
  [SyntaxKind.AsteriskToken]: '/',
  [SyntaxKind.SlashToken]: '*',
  [SyntaxKind.PercentToken]: '*',
  [SyntaxKind.AsteriskAsteriskToken]: '*',
  [SyntaxKind.GreaterThanGreaterThanToken]: '<<',
  [SyntaxKind.LessThanLessThanToken]: '>>',
  [SyntaxKind.PlusEqualsToken]: '-=',
  [SyntaxKind.MinusEqualsToken]: '+=',
  [SyntaxKind.AsteriskEqualsToken]: '/='
}

/** Replaced by either operand alone. A test that notices both of these also notices `&&` for `||`. */
const LOGICAL: readonly ts.SyntaxKind[] = [
  SyntaxKind.AmpersandAmpersandToken, SyntaxKind.BarBarToken, SyntaxKind.QuestionQuestionToken
]

const METHODS: Record<string, string> = {
  some: 'every',
  every: 'some',
  find: 'findLast',
  findIndex: 'findLastIndex',
  indexOf: 'lastIndexOf',
  push: 'unshift',
  startsWith: 'endsWith',
  endsWith: 'startsWith',
  floor: 'ceil',
  ceil: 'floor',
  round: 'floor'
}

/** Methods that return the same kind of value as their object, so that the object can replace the call. */
const PASS_THROUGH = [
  'filter', 'slice', 'sort', 'toSorted', 'reverse', 'toReversed', 'concat', 'trim', 'toLowerCase', 'toUpperCase'
]

/** Methods that return a boolean. */
const PREDICATES = ['some', 'every', 'has', 'includes', 'startsWith', 'endsWith', 'test', 'isArray']

/** A string that a program compares, as opposed to a sentence for a person. */
const WORD = /^[\w-]+$/

/** All mutants of a file, in the order of its text. */
export function mutantsOf (file: string, text: string): Mutant[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2023, true)
  const found = new Map<string, Mutant>()

  function replaceRange (start: number, end: number, replacement: string): void {
    const original = text.slice(start, end)
    if (original === replacement) return
    const line = source.getLineAndCharacterOfPosition(start).line + 1
    found.set(`${start} ${end} ${replacement}`, { file, line, start, end, replacement, original })
  }
  const replace = (node: ts.Node, ...replacements: string[]) => {
    for (const replacement of replacements) replaceRange(node.getStart(source), node.end, replacement)
  }
  const textOf = (node: ts.Node) => node.getText(source)

  /** @param isLoop Forced true, it would only run until the time limit. */
  function condition (node: ts.Expression | undefined, isLoop = false): void {
    if (!node) return
    replace(node, 'false', ...isLoop ? [] : ['true'], ...isBoolean(node) ? [] : [`!(${textOf(node)})`])
  }

  function value (node: ts.Expression): void {
    if (isBoolean(node)) replace(node, 'true', 'false')
    else if (!isNothing(node)) replace(node, ts.isObjectLiteralExpression(node) ? '(undefined)' : 'undefined')
  }

  function binary (node: ts.BinaryExpression): void {
    const { operatorToken: operator, left, right } = node
    const counterparts = [
      MOVED_BOUNDS[operator.kind],
      isForced(node) ? undefined : OPPOSITES[operator.kind],
      [left, right].some(isText) ? undefined : ARITHMETIC[operator.kind]
    ]
    for (const counterpart of counterparts) if (counterpart) replace(operator, counterpart)
    if (LOGICAL.includes(operator.kind)) replace(node, textOf(left), textOf(right))
  }

  function call (node: ts.CallExpression): void {
    const { expression: callee } = node
    if (!ts.isPropertyAccessExpression(callee)) return
    const name = callee.name.text
    if (Object.hasOwn(METHODS, name)) replace(callee.name, METHODS[name]!)
    if (PASS_THROUGH.includes(name)) replace(node, textOf(callee.expression))
    if (callee.expression.getText(source) === 'Math') replace(node, ...node.arguments.map(textOf))
  }

  function number (node: ts.NumericLiteral): void {
    const n = Number(node.text)
    if (n > 10) replace(node, String(n * 2), String(n / 2))
    else replace(node, String(n + 1), ...n > 0 ? [String(n - 1)] : [])
  }

  function statement (node: ts.Statement): void {
    if (ts.isExpressionStatement(node)) replace(node, ';')
    else if (ts.isContinueStatement(node) || ts.isBreakStatement(node) || ts.isThrowStatement(node)) replace(node, ';')
    else if (ts.isReturnStatement(node)) node.expression ? value(node.expression) : replace(node, ';')
    else if (ts.isIfStatement(node)) condition(node.expression)
    else if (ts.isWhileStatement(node) || ts.isDoStatement(node)) condition(node.expression, true)
    else if (ts.isForStatement(node)) condition(node.condition, true)
  }

  function visit (node: ts.Node): void {
    if (ts.isTypeNode(node) || ts.isImportDeclaration(node) || ts.isInterfaceDeclaration(node)) return
    if (ts.isExportDeclaration(node) || ts.isTypeAliasDeclaration(node) || ts.isModuleDeclaration(node)) return
    if (ts.isStatement(node)) statement(node)
    else if (ts.isBinaryExpression(node)) binary(node)
    else if (ts.isConditionalExpression(node)) condition(node.condition)
    else if (ts.isCallExpression(node)) call(node)
    else if (ts.isArrowFunction(node) && !ts.isBlock(node.body)) value(node.body)
    else if (ts.isNumericLiteral(node)) number(node)
    else if (ts.isStringLiteral(node) && decides(node)) replace(node, "'mutated'")
    else if (ts.isPrefixUnaryExpression(node)) prefix(node)
    else if (ts.isPostfixUnaryExpression(node)) {
      replaceRange(node.operand.end, node.end, node.operator === SyntaxKind.PlusPlusToken ? '--' : '++')
    } else if (ts.isQuestionDotToken(node)) {
      const isAccess = ts.isPropertyAccessExpression(node.parent)
      replace(node, isAccess ? '.' : '')
    } else if (ts.isSpreadElement(node) || ts.isSpreadAssignment(node)) {
      if (ts.isArrayLiteralExpression(node.parent)) replace(node, '...[]')
      else if (ts.isObjectLiteralExpression(node.parent)) replace(node, '...{}')
    }
    ts.forEachChild(node, visit)
  }

  function prefix (node: ts.PrefixUnaryExpression): void {
    if (node.operator === SyntaxKind.ExclamationToken || node.operator === SyntaxKind.MinusToken) {
      replace(node, textOf(node.operand))
    }
  }

  visit(source)
  return [...found.values()].sort((a, b) => a.start - b.start || a.end - b.end)
}

/** Judged by syntax alone: there is no type checker here. */
function isBoolean (node: ts.Expression): boolean {
  if (ts.isParenthesizedExpression(node)) return isBoolean(node.expression)
  if (ts.isPrefixUnaryExpression(node)) return node.operator === SyntaxKind.ExclamationToken
  if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)) {
    return PREDICATES.includes(node.expression.name.text)
  }
  if (!ts.isBinaryExpression(node)) return false
  const { kind } = node.operatorToken
  if (kind === SyntaxKind.InstanceOfKeyword || kind === SyntaxKind.InKeyword || OPPOSITES[kind]) return true
  const isAndOr = kind === SyntaxKind.AmpersandAmpersandToken || kind === SyntaxKind.BarBarToken
  return isAndOr && isBoolean(node.left) && isBoolean(node.right)
}

/** Whether the condition is forced true and forced false already, which tests more than its negation. */
function isForced ({ parent }: ts.Node): boolean {
  if (ts.isParenthesizedExpression(parent)) return isForced(parent)
  return ts.isIfStatement(parent) || ts.isConditionalExpression(parent) || ts.isReturnStatement(parent) ||
    ts.isArrowFunction(parent) || (ts.isBinaryExpression(parent) && LOGICAL.includes(parent.operatorToken.kind))
}

function isNothing (node: ts.Expression): boolean {
  return node.getText() === 'undefined' || ts.isVoidExpression(node)
}

function isText (node: ts.Expression): boolean {
  if (ts.isBinaryExpression(node)) return isText(node.left) || isText(node.right)
  return ts.isStringLiteral(node) || ts.isTemplateLiteral(node)
}

/**
 * Whether a program reads the text: a string that is returned, selected, assigned, listed or matched. In a comparison,
 * the mutants of the comparison cover the same.
 */
function decides (node: ts.StringLiteral): boolean {
  if (!WORD.test(node.text)) return false
  const { parent } = node
  return ts.isReturnStatement(parent) || ts.isCaseClause(parent) || ts.isConditionalExpression(parent) ||
    ts.isArrayLiteralExpression(parent) || ts.isArrowFunction(parent) ||
    (ts.isPropertyAssignment(parent) && parent.initializer === node) ||
    (ts.isVariableDeclaration(parent) && parent.initializer === node)
}
