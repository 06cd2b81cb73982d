"""Where a value may stand in a script for sh or bash, and how it is read there.

A scanner, not a parser: it follows quoting, substitutions, here-documents and command boundaries closely enough to say
for each hole whether it stands bare, in double quotes, in a here-document or in a comment. Whatever it does not follow
for certain, it refuses: a script without holes never comes here, and every refusal can be answered with `env:`.
Most scripts need not be followed: `plain` reads them many times as fast, or says that it cannot.
Time and memory are linear in the length of the script, whatever it holds.

Beyond quoting it knows that some commands evaluate their arguments (`eval`, `sh -c`, `ssh`, `sed`, bash's `printf -v`),
that a shell may read its commands from a pipe or a here-document, and that bash computes array subscripts and `-eq`
inside `[[ ]]`, which runs `$(...)` found in a value, however it came into the variable.

    plain       scripts of plain commands, which need not be followed
    pieces      words and commands, as far as they are known
    source      the characters of the script, and what is known of each hole
    words       quoting and expansions
    documents   redirections and here-documents
    lists       lists of commands
    scan        the verdict on each value
    judged      what each command makes of its words, and of those that it hands on
    evaluated   the variables that are computed or evaluated
    table       what each program makes of its words and of its input
    programs    programs by their names
    options     options after which code stands
    variables   names of variables that are evaluated, and what becomes of a value
    heads       the words of a command where a command stands
    arguments   whether a command evaluates the value in one of its words
    inlineprograms  programs in other languages within the script
    alternatives  commands whose name is a variable
    innerscripts  scripts within a script that shells read
    around      what those do with functions of the script around them
    byvariable  functions that are called by a variable
    owninput    who may read the standard input of the script
    inputs      what a command makes of its standard input
    started     the same for commands that scripts in other languages start
    blocks      functions, loops, branches and brackets
    within      what stands in which brackets
    spans       parts of a script that stand within each other
    numeric     substitutions that print nothing but numbers
    numericprograms  words that make programs do so
    calls       arguments of functions that are written out as numbers
    prints      what a command prints of files and of its input
    writers     programs that write files beside their redirections
    files       files that a script writes, and runs or reads back
    followed    a script that was read to its end
    flows       the variables that a script computes with or evaluates
    wrappers    functions that run their arguments
    digits      where a script has asked a variable for digits

Sources: POSIX.1-2024 XCU 2.2-2.10; bash manual 3.1, 3.2.4, 3.5, 6.5.
"""
