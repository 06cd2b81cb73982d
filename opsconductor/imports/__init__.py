"""Other tools' files read into documents of ours, for a person to review. Pure: text in, drafts and remarks out.

Everything in those files is text: names, commands and comments are never run, expanded or looked up anywhere. What
could not be carried is a remark with its place; a reader leaves nothing out without one.
"""
