// What the prompt needs of libedit, under names of our own.
//
// el_set and history take a number of arguments that depends on the first ones; Swift can't call
// such functions. Each inline function below is one of their uses, with its types written out.

#ifndef CEDIT_SHIM_H
#define CEDIT_SHIM_H

#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

// An editor on the process's own streams.
static inline EditLine *CEdit_init(const char *program) {
  return el_init(program, stdin, stdout, stderr);
}

// libedit decodes bytes by the locale. Always use UTF-8, as our output does.
static inline void CEdit_use_utf8(void) {
  setlocale(LC_CTYPE, "");
  if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0) setlocale(LC_CTYPE, "C.UTF-8");
}

static inline int CEdit_set_owner(EditLine *edit, void *owner) {
  return el_set(edit, EL_CLIENTDATA, owner);
}

// What was set as the owner; a callback gets nothing but its EditLine.
static inline void *CEdit_owner(EditLine *edit) {
  void *owner = NULL;
  return el_get(edit, EL_CLIENTDATA, &owner) == 0 ? owner : NULL;
}

static inline int CEdit_set_editor(EditLine *edit, const char *name) {
  return el_set(edit, EL_EDITOR, name);
}

static inline int CEdit_set_prompt(EditLine *edit, char *(*prompt)(EditLine *)) {
  return el_set(edit, EL_PROMPT, prompt);
}

static inline int CEdit_set_history(EditLine *edit, History *lines) {
  return el_set(edit, EL_HIST, history, lines);
}

// The wide form: the narrow one differs between versions.
static inline int CEdit_set_reader(EditLine *edit, int (*read)(EditLine *, wchar_t *)) {
  return el_wset(edit, EL_GETCFN, read);
}

static inline int CEdit_add_function(
    EditLine *edit, const char *name, const char *help,
    unsigned char (*function)(EditLine *, int)) {
  return el_set(edit, EL_ADDFN, name, help, function);
}

static inline int CEdit_bind(EditLine *edit, const char *keys, const char *function) {
  return el_set(edit, EL_BIND, keys, function, NULL);
}

// Puts the terminal into the mode for editing. libedit itself does so only behind the prompt, and
// what a quick person typed until then would be shown twice.
//
// Ctrl-C is a character like any other then, and read in its turn. As a signal it would come beside
// what is typed: be noticed behind keys that were pressed later, or have the system forget them.
// libedit gives the terminal back with the mode that it found, in which Ctrl-C is a signal.
static inline void CEdit_take_terminal(EditLine *edit) {
  struct termios mode;
  el_set(edit, EL_PREP_TERM, 1);
  if (tcgetattr(STDIN_FILENO, &mode) != 0) return;
  mode.c_cc[VINTR] = _POSIX_VDISABLE;
  tcsetattr(STDIN_FILENO, TCSANOW, &mode);
}

// The same after another program has changed the mode.
static inline void CEdit_take_terminal_again(EditLine *edit) {
  el_set(edit, EL_PREP_TERM, 0);
  CEdit_take_terminal(edit);
}

static inline void CEdit_refresh(EditLine *edit) { el_set(edit, EL_REFRESH); }

static inline int CEdit_history_limit(History *lines, int count) {
  HistEvent event;
  return history(lines, &event, H_SETSIZE, count);
}

// A line that is the same as the last one is not kept twice.
static inline int CEdit_history_unique(History *lines) {
  HistEvent event;
  return history(lines, &event, H_SETUNIQUE, 1);
}

static inline int CEdit_history_enter(History *lines, const char *line) {
  HistEvent event;
  return history(lines, &event, H_ENTER, line);
}

#endif
